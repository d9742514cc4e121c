// binds: urw
struct Sizes { n_h: i32, n_w: i32 }
@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> in_x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out_y: array<f32>;

// x, unknown to the compiler.
fn runtime_i32(x: i32) -> i32 {
  return x;
}

// output y
fn run_y_1(thread: i32, stride: i32) {
  let v3 = sizes.n_w;
  let v5 = (v3 + 1) >> 1u;
  let v13 = bitcast<f32>(runtime_i32(-8388608));
  let v21 = v3 * 6;
  let v23 = v3 * 3;
  let v34 = v5 * 3;
  for (var i8 = thread; i8 < (sizes.n_h >> 1u) * 3 * v5; i8 += stride) {
    let v9 = i8 / 3;
    let v10 = i8 % 3;
    let v11 = v9 / v5;
    let v12 = v9 % v5;
    let v18 = v12 * 2;
    let v28 = v21 * v11 + v12 * 6 + v10;
    var a15 = v13;
    for (var k14 = 0; k14 < 2; k14++) {
      let v29 = v28 + v23 * k14;
      var a17 = a15;
      for (var k16 = 0; k16 < 2; k16++) {
        let v20 = v18 + k16 < v3;
        let v33 = max(a17, select(v13, select(0.0, in_x[v29 + k16 * 3], v20), v20));
        a17 = v33;
      }
      a15 = a17;
    }
    out_y[v34 * v11 + v12 * 3 + v10] = a15;
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  run_y_1(i32(id.x), i32(groups.x) * 64);
}
