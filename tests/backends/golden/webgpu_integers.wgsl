// binds: urwwr
struct Sizes { n_batch: i32 }
@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> in_x: array<i32>;
@group(0) @binding(2) var<storage, read_write> tmp_wrap: array<i32>;
@group(0) @binding(3) var<storage, read_write> out_flags: array<i32>;
@group(0) @binding(4) var<storage, read> weights: array<i32>;

// The low 8 bits
fn wrap_u8_1(x: i32) -> i32 {
  return x & 255;
}

// Mul wrap
fn run_wrap(thread: i32, stride: i32, c0: i32) {
  let v2 = c0 * 6;
  let x5 = weights[0];
  for (var i1 = thread; i1 < 6; i1 += stride) {
    let v3 = v2 + i1;
    tmp_wrap[v3] = wrap_u8_1(in_x[v3] * x5);
  }
}

// output flags
fn run_flags_1(thread: i32, stride: i32, c0: i32) {
  let v2 = c0 * 6;
  for (var i1 = thread; i1 < 6; i1 += stride) {
    let v3 = v2 + i1;
    out_flags[v3] = i32(tmp_wrap[v3] > in_x[v3]);
  }
}

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let thread = i32(local) & 7;
  for (var first = i32(group.x) * 4; first < sizes.n_batch; first += i32(groups.x) * 4) {
    let at = first + (i32(local) >> 3u);
    let c0 = at;
    if (at < sizes.n_batch) { run_wrap(thread, 8, c0); }
    storageBarrier();
    if (at < sizes.n_batch) { run_flags_1(thread, 8, c0); }
  }
}
