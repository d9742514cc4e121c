// binds: -rwr
@group(0) @binding(1) var<storage, read> in_x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out_y: array<vec4f>;
@group(0) @binding(3) var<storage, read> weights: array<vec4f>;

// output y
fn run_y_1(thread: i32, stride: i32) {
  for (var i2 = thread; i2 < 512; i2 += stride) {
    let v3 = i2 >> 1u;
    let v4 = i2 & 1;
    let v5 = v3 >> 2u;
    let v6 = v3 & 3;
    let v12 = v5 * 80;
    let v17 = v6 * 40 + v4;
    var a8 = vec4f(0.0);
    var a9 = vec4f(0.0);
    var a10 = vec4f(0.0);
    var a11 = vec4f(0.0);
    for (var k7 = 0; k7 < 20; k7++) {
      let v13 = v12 + k7;
      let x19 = weights[v17 + k7 * 2];
      a8 = fma(vec4f(in_x[v13]), x19, a8);
      a9 = fma(vec4f(in_x[v13 + 20]), x19, a9);
      a10 = fma(vec4f(in_x[v13 + 40]), x19, a10);
      a11 = fma(vec4f(in_x[v13 + 60]), x19, a11);
    }
    let v34 = v5 * 32 + v6 * 2 + v4;
    out_y[v34] = max(a8, vec4f(0.0));
    out_y[v34 + 8] = max(a9, vec4f(0.0));
    out_y[v34 + 16] = max(a10, vec4f(0.0));
    out_y[v34 + 24] = max(a11, vec4f(0.0));
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  run_y_1(i32(id.x), i32(groups.x) * 64);
}
