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
fn run_wrap(thread: i32, stride: i32, c0: i32, c1: i32) {
  if (thread == 0) {
    let v2 = c0 * 6 + c1;
    tmp_wrap[v2] = wrap_u8_1(in_x[v2] * weights[0]);
  }
}

// output flags
fn run_flags_1(thread: i32, stride: i32, c0: i32, c1: i32) {
  if (thread == 0) {
    let v2 = c0 * 6 + c1;
    out_flags[v2] = i32(tmp_wrap[v2] > in_x[v2]);
  }
}

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let thread = i32(local);
  for (var at = i32(group.x); at < 6 * sizes.n_batch; at += i32(groups.x)) {
    let c1 = at % (6);
    let c0 = at / (6);
    run_wrap(thread, 32, c0, c1);
    storageBarrier();
    run_flags_1(thread, 32, c0, c1);
  }
}
