// binds: urwww
struct Sizes { n_batch: i32 }
@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> in_x: array<f32>;
@group(0) @binding(2) var<storage, read_write> tmp_best_picked: array<i32>;
@group(0) @binding(3) var<storage, read_write> tmp_best_indices: array<i32>;
@group(0) @binding(4) var<storage, read_write> out_values: array<f32>;

// True for NaN, by its bits
fn is_nan_1(x: f32) -> bool {
  return (bitcast<i32>(x) & 2147483647) > 2139095040;
}

// TopK best
fn run_best(thread: i32, stride: i32, c0: i32) {
  if (thread == 0) {
    tmp_best_picked[c0] = 0;
  }
}

// TopK best
fn run_best_1(thread: i32, stride: i32, c0: i32, step_s1: i32) {
  if (thread == 0) {
    let v3 = c0 * 40;
    let v15 = sizes.n_batch;
    let v16 = step_s1 * v15;
    let v18 = v15 * -2;
    let x22 = tmp_best_picked[v16 + v18 * (step_s1 >> 1u) + c0];
    let x24 = in_x[v3 + x22];
    let v26 = bitcast<i32>(x24);
    let v32 = select(select(v26, v26 ^ 2147483647, v26 < 0), 0, (v26 & 2147483647) == 0);
    let v33 = select(v32, 2147483647, is_nan_1(x24));
    let v39 = step_s1 == 0;
    var a2 = -1;
    for (var k1 = 0; k1 < 40; k1++) {
      let x5 = in_x[v3 + k1];
      let v7 = bitcast<i32>(x5);
      let v13 = select(select(v7, v7 ^ 2147483647, v7 < 0), 0, (v7 & 2147483647) == 0);
      let v14 = select(v13, 2147483647, is_nan_1(x5));
      let x44 = in_x[v3 + max(a2, 0)];
      let v46 = bitcast<i32>(x44);
      let v52 = select(select(v46, v46 ^ 2147483647, v46 < 0), 0, (v46 & 2147483647) == 0);
      let v55 = (a2 < 0) | (v14 > select(v52, 2147483647, is_nan_1(x44)));
      let v56 = (((v14 < v33) | ((v14 == v33) & (k1 > x22))) | v39) & v55;
      a2 = select(a2, k1, v56);
    }
    tmp_best_picked[v16 + v18 * ((step_s1 + 1) >> 1u) + c0 + v15] = a2;
    tmp_best_indices[c0 * 3 + step_s1] = a2;
  }
}

// output values
fn run_values_1(thread: i32, stride: i32, c0: i32) {
  let v2 = c0 * 40;
  let v3 = c0 * 3;
  for (var i1 = thread; i1 < 3; i1 += stride) {
    let v4 = v3 + i1;
    out_values[v4] = in_x[v2 + tmp_best_indices[v4]];
  }
}

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let thread = i32(local) & 3;
  for (var first = i32(group.x) * 8; first < sizes.n_batch; first += i32(groups.x) * 8) {
    let at = first + (i32(local) >> 2u);
    let c0 = at;
    if (at < sizes.n_batch) { run_best(thread, 4, c0); }
    storageBarrier();
    for (var step_s1 = 0; step_s1 < 3; step_s1++) {
      if (at < sizes.n_batch) { run_best_1(thread, 4, c0, step_s1); }
      storageBarrier();
    }
    if (at < sizes.n_batch) { run_values_1(thread, 4, c0); }
  }
}
