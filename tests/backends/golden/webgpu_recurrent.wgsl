// binds: urwwwwwwr
struct Sizes { n_batch: i32 }
@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> in_x: array<f32>;
@group(0) @binding(2) var<storage, read_write> tmp_lstm_gates: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> tmp_lstm_h: array<f32>;
@group(0) @binding(4) var<storage, read_write> tmp_lstm_c: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> tmp_softmax_t_scratch: array<f32>;
@group(0) @binding(6) var<storage, read_write> tmp_softmax_t_1: array<f32>;
@group(0) @binding(7) var<storage, read_write> out_y: array<f32>;
@group(0) @binding(8) var<storage, read> weights: array<vec4f>;

// 1 / _1 _ exp_-x_
fn sigmoid_4(x: vec4f) -> vec4f {
  let v3 = select(x, vec4f(20.0), vec4f(20.0) < x);
  let v5 = round(v3 * -1.442695);
  let v7 = fma(v5, vec4f(1.4286068e-6), fma(v5, vec4f(0.69314575), v3));
  let v9 = fma(v7, fma(v7, vec4f(0.0013820136), vec4f(-0.008368686)), vec4f(0.041668274));
  let v11 = fma(v7, fma(v7, v9, vec4f(-0.16666521)), vec4f(0.49999994));
  let v14 = bitcast<vec4i>(fma(v7, fma(v7, v11, vec4f(-1.0)), vec4f(1.0)));
  let v20 = 1.0 / (1.0 + bitcast<vec4f>(v14 + (vec4i(v5) << vec4u(23u))));
  return select(v20, vec4f(0.0), x < vec4f(-87.33654));
}

// Hyperbolic tangent
fn tanh_4(x: vec4f) -> vec4f {
  let v2 = select(x, vec4f(9.02), vec4f(9.02) < x);
  let v4 = select(v2, vec4f(-9.02), v2 < vec4f(-9.02));
  let v6 = round(v4 * 2.88539);
  let v10 = bitcast<vec4f>((vec4i(v6) + 128) << vec4u(23u));
  let v12 = fma(v6, vec4f(-7.143034e-7), fma(v6, vec4f(-0.34657288), v4));
  let v15 = fma(v12, fma(v12, vec4f(0.044386227), vec4f(0.13386035)), vec4f(0.33333948));
  let v17 = fma(v12, fma(v12, v15, vec4f(0.66666186)), vec4f(0.99999994));
  let v20 = fma(v10, fma(v12 * v12, v17, v12), fma(v10, vec4f(0.5), vec4f(-1.0)));
  return v20 / (v20 + 2.0);
}

// e to the x
fn exp_1(x: f32) -> f32 {
  let v4 = round(x * 1.442695);
  let v6 = fma(v4, -1.4286068e-6, fma(v4, -0.69314575, x));
  let v9 = fma(v6, fma(v6, fma(v6, 0.0013820136, 0.008368686), 0.041668274), 0.16666521);
  let v13 = bitcast<i32>(fma(v6, fma(v6, fma(v6, v9, 0.49999994), 1.0), 1.0));
  let v19 = select(bitcast<i32>(bitcast<f32>(v13 + (i32(v4) << 23u))), 2139095040, x > 88.72283);
  return select(bitcast<f32>(v19), 0.0, x < -87.33654);
}

// LSTM lstm
fn run_lstm_1(thread: i32, stride: i32, c0: i32) {
  let v9 = sizes.n_batch;
  let v10 = v9 * 3;
  let v12 = c0 * 3;
  let v26 = v9 * 64;
  let v28 = c0 * 64;
  for (var i2 = thread; i2 < 320; i2 += stride) {
    let v3 = i2 >> 1u;
    let v4 = i2 & 1;
    let v5 = v3 >> 5u;
    let v6 = v3 & 31;
    let v13 = v12 + v10 * v5;
    let v18 = v6 * 6 + v4;
    var a8 = vec4f(0.0);
    for (var k7 = 0; k7 < 3; k7++) {
      a8 = fma(vec4f(in_x[v13 + k7]), weights[v18 + k7 * 2], a8);
    }
    let v22 = v6 * 2;
    tmp_lstm_gates[v28 + v26 * v5 + v22 + v4] = a8 + weights[v22 + v4 + 192];
  }
}

// LSTM lstm
fn run_lstm(thread: i32, stride: i32, c0: i32) {
  let v5 = c0 * 64;
  let v10 = c0 * 16;
  for (var i2 = thread; i2 < 16; i2 += stride) {
    let v3 = i2 >> 1u;
    let v4 = i2 & 1;
    let v9 = v5 + v3 * 8 + v4 * 4;
    let t1 = vec4f(0.0);
    tmp_lstm_h[v9] = t1.x;
    tmp_lstm_h[v9 + 1] = t1.y;
    tmp_lstm_h[v9 + 2] = t1.z;
    tmp_lstm_h[v9 + 3] = t1.w;
    tmp_lstm_c[v10 + v3 * 2 + v4] = vec4f(0.0);
  }
}

// LSTM lstm
fn run_lstm_2(thread: i32, stride: i32, c0: i32, step_s11: i32) {
  let v5 = sizes.n_batch;
  let v7 = step_s11 * 64 * v5;
  let v8 = c0 * 64;
  let v10 = v7 + v8;
  let v19 = step_s11 >> 1u;
  let v20 = v5 * -128;
  let v23 = v7 + v20 * v19 + v8;
  let v50 = step_s11 * 16 * v5;
  let v51 = v5 * -32;
  let v53 = c0 * 16;
  let v56 = v50 + v51 * v19 + v53;
  let v65 = (step_s11 + 1) >> 1u;
  let v71 = v7 + v20 * v65 + v8 + v5 * 64;
  let v78 = v50 + v51 * v65 + v53 + v5 * 16;
  for (var i2 = thread; i2 < 16; i2 += stride) {
    let v3 = i2 >> 1u;
    let v4 = i2 & 1;
    let v9 = v3 * 8;
    let v12 = v10 + v9 + v4;
    let v28 = v3 * 512 + v4;
    var a15 = vec4f(0.0);
    var a16 = vec4f(0.0);
    var a17 = vec4f(0.0);
    var a18 = vec4f(0.0);
    for (var k14 = 0; k14 < 64; k14++) {
      let x25 = tmp_lstm_h[v23 + k14];
      let v29 = v28 + k14 * 8;
      a15 = fma(vec4f(x25), weights[v29 + 262], a15);
      a16 = fma(vec4f(x25), weights[v29 + 256], a16);
      a17 = fma(vec4f(x25), weights[v29 + 260], a17);
      a18 = fma(vec4f(x25), weights[v29 + 258], a18);
    }
    let v54 = v3 * 2;
    let v60 = sigmoid_4(tmp_lstm_gates[v12 + 2] + a18) * tmp_lstm_c[v56 + v54 + v4];
    let v61 = fma(sigmoid_4(tmp_lstm_gates[v12] + a16), tanh_4(tmp_lstm_gates[v12 + 4] + a17), v60);
    let v73 = v71 + v9 + v4 * 4;
    let t1 = sigmoid_4(tmp_lstm_gates[v12 + 6] + a15) * tanh_4(v61);
    tmp_lstm_h[v73] = t1.x;
    tmp_lstm_h[v73 + 1] = t1.y;
    tmp_lstm_h[v73 + 2] = t1.z;
    tmp_lstm_h[v73 + 3] = t1.w;
    tmp_lstm_c[v78 + v54 + v4] = v61;
  }
}

// MatMul dense
fn run_dense(thread: i32, stride: i32, c0: i32) {
  let v1 = vec4i(0, 1, 2, 3);
  let v5 = sizes.n_batch;
  let v8 = c0 * 64 + v5 * 64;
  let v22 = c0 * 6 + ((v5 + 3) >> 2u) * 8;
  for (var i2 = thread; i2 < 2; i2 += stride) {
    let v11 = i2 * 64;
    var a4 = vec4f(0.0);
    for (var k3 = 0; k3 < 64; k3++) {
      let v14 = fma(vec4f(tmp_lstm_h[v8 + k3]), weights[v11 + k3 + 4352], a4);
      a4 = v14;
    }
    let v15 = i2 * 4;
    let v23 = v22 + v15;
    let t1 = v1 + v15 < vec4i(6);
    if (t1.x) { tmp_softmax_t_scratch[v23] = a4.x; }
    if (t1.y) { tmp_softmax_t_scratch[v23 + 1] = a4.y; }
    if (t1.z) { tmp_softmax_t_scratch[v23 + 2] = a4.z; }
    if (t1.w) { tmp_softmax_t_scratch[v23 + 3] = a4.w; }
  }
}

// Softmax softmax
fn run_softmax(thread: i32, stride: i32, c0: i32) {
  if (thread == 0) {
    let v8 = c0 * 6 + ((sizes.n_batch + 3) >> 2u) * 8;
    var a2 = -3.4028234663852886e+38;
    for (var k1 = 0; k1 < 6; k1++) {
      a2 = max(a2, tmp_softmax_t_scratch[v8 + k1]);
    }
    tmp_softmax_t_scratch[c0] = a2;
  }
}

// Softmax softmax
fn run_softmax_1(thread: i32, stride: i32, c0: i32) {
  let v2 = c0 * 6;
  let v7 = v2 + ((sizes.n_batch + 3) >> 2u) * 8;
  let x10 = tmp_softmax_t_scratch[c0];
  for (var i1 = thread; i1 < 6; i1 += stride) {
    tmp_softmax_t_1[v2 + i1] = exp_1(tmp_softmax_t_scratch[v7 + i1] - x10);
  }
}

// Softmax softmax
fn run_softmax_2(thread: i32, stride: i32, c0: i32) {
  if (thread == 0) {
    let v3 = c0 * 6;
    var a2 = 0.0;
    for (var k1 = 0; k1 < 6; k1++) {
      a2 = a2 + tmp_softmax_t_1[v3 + k1];
    }
    tmp_softmax_t_scratch[c0 + ((sizes.n_batch + 3) >> 2u) * 4] = a2;
  }
}

// output y
fn run_y_1(thread: i32, stride: i32, c0: i32) {
  let v2 = c0 * 6;
  let x10 = tmp_softmax_t_scratch[c0 + ((sizes.n_batch + 3) >> 2u) * 4];
  for (var i1 = thread; i1 < 6; i1 += stride) {
    let v3 = v2 + i1;
    out_y[v3] = tmp_softmax_t_1[v3] / x10;
  }
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let thread = i32(local);
  for (var at = i32(group.x); at < sizes.n_batch; at += i32(groups.x)) {
    let c0 = at;
    run_lstm_1(thread, 256, c0);
    storageBarrier();
    run_lstm(thread, 256, c0);
    storageBarrier();
    for (var step_s11 = 0; step_s11 < 5; step_s11++) {
      run_lstm_2(thread, 256, c0, step_s11);
      storageBarrier();
    }
    run_dense(thread, 256, c0);
    storageBarrier();
    run_softmax(thread, 256, c0);
    storageBarrier();
    run_softmax_1(thread, 256, c0);
    storageBarrier();
    run_softmax_2(thread, 256, c0);
    storageBarrier();
    run_y_1(thread, 256, c0);
  }
}
