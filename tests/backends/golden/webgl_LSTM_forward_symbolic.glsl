// LSTM_forward_symbolic: LSTM LSTM_forward_symbolic
uniform int n_b;
layout(location = 0) out FLOAT4 t_LSTM_forward_symbolic_h_t;
layout(location = 1) out FLOAT4 t_LSTM_forward_symbolic_c_t;
void main() {
  int v3 = n_b * 2;
  if (texel(ivec2(gl_FragCoord.xy) - block(0, v3)) >= v3) return;
  t_LSTM_forward_symbolic_h_t = stored(vec4(0.0));
  t_LSTM_forward_symbolic_c_t = stored(vec4(0.0));
}

// LSTM_forward_symbolic_1: LSTM LSTM_forward_symbolic
uniform FLOATS t_x0;
uniform FLOATS t_LSTM_forward_symbolic_w_1;
uniform FLOATS t_LSTM_forward_symbolic_w_3;
uniform int n_b, n_step0, n_t;
layout(location = 0) out FLOAT4 t_LSTM_forward_symbolic_gates_t;
layout(location = 1) out FLOAT4 t_LSTM_forward_symbolic_gates_t_2;
layout(location = 2) out FLOAT4 t_LSTM_forward_symbolic_gates_t_3;
layout(location = 3) out FLOAT4 t_LSTM_forward_symbolic_gates_t_4;
// a / b rounded down.
int floordiv(int a, int b) {
  int q = a / b;
  return (a < 0) != (b < 0) && q * b != a ? q - 1 : q;
}
ivec4 floordiv(ivec4 a, ivec4 b) {
  ivec4 q = a / b;
  return q - ivec4(bvec4(ivec4(lessThan(a ^ b, ivec4(0))) & ivec4(notEqual(q * b, a))));
}
void main() {
  int q = texel(ivec2(gl_FragCoord.xy));
  int v2 = n_b;
  int v3 = n_step0;
  int v7 = min(v3 * -65536 + n_t, 65536);
  int v10 = v2 * 8;
  if (q >= v10 * floordiv(v7 + 3, 4)) return;
  int v12 = q / v10;
  int v15 = q / 8;
  int v20 = v3 * 327680 * v2;
  int v21 = (v2 * -1 * v12 + v15) * 5;
  int v23 = v12 * 20 * v2 + v20 + v21;
  int v26 = q / 2;
  int v28 = v26 + v15 * -4;
  int v30 = q + v26 * -2;
  ivec2 v33 = ivec2(v28 * 10 + v30, 0);
  vec4 x34 = fetch(t_LSTM_forward_symbolic_w_1, v33 + ivec2(8, 0));
  vec4 x37 = fetch(t_LSTM_forward_symbolic_w_1, v33 + ivec2(6, 0));
  vec4 x40 = fetch(t_LSTM_forward_symbolic_w_1, v33 + ivec2(4, 0));
  vec4 x43 = fetch(t_LSTM_forward_symbolic_w_1, v33 + ivec2(2, 0));
  vec4 x45 = fetch(t_LSTM_forward_symbolic_w_1, v33);
  vec4 v47 = fetch(t_x0, at_line(v23 + 1 >> 2))[(v23 + 1) & 3] * x43 + (fetch(t_x0, at_line(v23 >> 2))[v23 & 3] * x45 + 0.0);
  vec4 v49 = fetch(t_x0, at_line(v23 + 3 >> 2))[(v23 + 3) & 3] * x37 + (fetch(t_x0, at_line(v23 + 2 >> 2))[(v23 + 2) & 3] * x40 + v47);
  vec4 x54 = fetch(t_LSTM_forward_symbolic_w_3, ivec2(v28 * 2 + v30, 0));
  int v56 = v12 * 4;
  int v58 = v7 - 1;
  int v60 = v2 * 5;
  int v63 = v20 + v60 * min(v56 + 1, v58) + v21;
  vec4 v74 = fetch(t_x0, at_line(v63 + 1 >> 2))[(v63 + 1) & 3] * x43 + (fetch(t_x0, at_line(v63 >> 2))[v63 & 3] * x45 + 0.0);
  vec4 v76 = fetch(t_x0, at_line(v63 + 3 >> 2))[(v63 + 3) & 3] * x37 + (fetch(t_x0, at_line(v63 + 2 >> 2))[(v63 + 2) & 3] * x40 + v74);
  int v83 = v20 + v60 * min(v56 + 2, v58) + v21;
  vec4 v94 = fetch(t_x0, at_line(v83 + 1 >> 2))[(v83 + 1) & 3] * x43 + (fetch(t_x0, at_line(v83 >> 2))[v83 & 3] * x45 + 0.0);
  vec4 v96 = fetch(t_x0, at_line(v83 + 3 >> 2))[(v83 + 3) & 3] * x37 + (fetch(t_x0, at_line(v83 + 2 >> 2))[(v83 + 2) & 3] * x40 + v94);
  int v103 = v20 + v60 * min(v56 + 3, v58) + v21;
  vec4 v114 = fetch(t_x0, at_line(v103 + 1 >> 2))[(v103 + 1) & 3] * x43 + (fetch(t_x0, at_line(v103 >> 2))[v103 & 3] * x45 + 0.0);
  vec4 v116 = fetch(t_x0, at_line(v103 + 3 >> 2))[(v103 + 3) & 3] * x37 + (fetch(t_x0, at_line(v103 + 2 >> 2))[(v103 + 2) & 3] * x40 + v114);
  t_LSTM_forward_symbolic_gates_t = stored(fetch(t_x0, at_line(v23 + 4 >> 2))[(v23 + 4) & 3] * x34 + v49 + x54);
  t_LSTM_forward_symbolic_gates_t_2 = stored(fetch(t_x0, at_line(v63 + 4 >> 2))[(v63 + 4) & 3] * x34 + v76 + x54);
  t_LSTM_forward_symbolic_gates_t_3 = stored(fetch(t_x0, at_line(v83 + 4 >> 2))[(v83 + 4) & 3] * x34 + v96 + x54);
  t_LSTM_forward_symbolic_gates_t_4 = stored(fetch(t_x0, at_line(v103 + 4 >> 2))[(v103 + 4) & 3] * x34 + v116 + x54);
}

// LSTM_forward_symbolic_2: LSTM LSTM_forward_symbolic
uniform FLOATS t_LSTM_forward_symbolic_gates_t;
uniform FLOATS t_LSTM_forward_symbolic_h_t;
uniform FLOATS t_LSTM_forward_symbolic_w;
uniform FLOATS t_LSTM_forward_symbolic_c_t;
uniform int n_step0, n_step1, n_b;
layout(location = 0) out FLOAT4 t_LSTM_forward_symbolic_h_t_2;
layout(location = 1) out FLOAT4 t_LSTM_forward_symbolic_c_t_2;
// 1 / (1 + exp(-x)).
vec4 sigmoid_(vec4 x) {
  vec4 v3 = mix(x, vec4(20.0), lessThan(vec4(20.0), x));
  vec4 v5 = roundEven(v3 * -1.442695);
  vec4 v7 = v5 * 1.4286068e-6 + (v5 * 0.69314575 + v3);
  vec4 v10 = v7 * (v7 * (v7 * 0.0013820136 + -0.008368686) + 0.041668274) + -0.16666521;
  ivec4 v17 = floatBitsToInt(v7 * (v7 * (v7 * v10 + 0.49999994) + -1.0) + 1.0) + (ivec4(v5) << 23);
  vec4 v21 = mix(1.0 / (1.0 + intBitsToFloat(v17)), vec4(0.0), lessThan(x, vec4(-87.33654)));
  return v21;
}
// Hyperbolic tangent.
vec4 tanh_(vec4 x) {
  vec4 v2 = mix(x, vec4(9.02), lessThan(vec4(9.02), x));
  vec4 v4 = mix(v2, vec4(-9.02), lessThan(v2, vec4(-9.02)));
  vec4 v6 = roundEven(v4 * 2.88539);
  vec4 v10 = intBitsToFloat((ivec4(v6) + 128) << 23);
  vec4 v12 = v6 * -7.143034e-7 + (v6 * -0.34657288 + v4);
  vec4 v17 = v12 * (v12 * (v12 * (v12 * 0.044386227 + 0.13386035) + 0.33333948) + 0.66666186) + 0.99999994;
  vec4 v20 = v10 * (v12 * v12 * v17 + v12) + (v10 * 0.5 + -1.0);
  return v20 / (v20 + 2.0);
}
void main() {
  int v3 = n_step0 * 32768;
  int v4 = n_step1;
  int v8 = n_b;
  int v9 = v8 * 2;
  int q = texel(ivec2(gl_FragCoord.xy) - block(v3 + (v4 + 1) / 2, v9));
  if (q >= v9) return;
  int v11 = q / 2;
  int v13 = q + v11 * -2;
  int v19 = v8 * 8 * (v4 / 4) + v11 * 8 + v13;
  ivec2 v28 = block(v3 + v4 / 2, v9);
  int v29 = v11 * 2;
  vec4 a22 = vec4(0.0);
  vec4 a23 = vec4(0.0);
  vec4 a24 = vec4(0.0);
  vec4 a25 = vec4(0.0);
  for (int k21 = 0; k21 < 2; k21++) {
    vec4 x31 = fetch(t_LSTM_forward_symbolic_h_t, v28 + at_band(v29 + k21));
    ivec2 v34 = ivec2(v13 + k21 * 32, 0);
    vec4 v40 = x31.y * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(14, 0)) + (x31.x * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(6, 0)) + a22);
    vec4 v42 = x31.w * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(30, 0)) + (x31.z * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(22, 0)) + v40);
    vec4 v48 = x31.y * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(8, 0)) + (x31.x * fetch(t_LSTM_forward_symbolic_w, v34) + a23);
    vec4 v50 = x31.w * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(24, 0)) + (x31.z * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(16, 0)) + v48);
    vec4 v56 = x31.y * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(12, 0)) + (x31.x * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(4, 0)) + a24);
    vec4 v58 = x31.w * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(28, 0)) + (x31.z * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(20, 0)) + v56);
    vec4 v64 = x31.y * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(10, 0)) + (x31.x * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(2, 0)) + a25);
    vec4 v66 = x31.w * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(26, 0)) + (x31.z * fetch(t_LSTM_forward_symbolic_w, v34 + ivec2(18, 0)) + v64);
    a22 = v42;
    a23 = v50;
    a24 = v58;
    a25 = v66;
  }
  vec4 v80 = sigmoid_(fetch(t_LSTM_forward_symbolic_gates_t, at_band(v19 + 2)) + a25) * fetch(t_LSTM_forward_symbolic_c_t, v28 + at_band(v29 + v13));
  vec4 v81 = sigmoid_(fetch(t_LSTM_forward_symbolic_gates_t, at_band(v19)) + a23) * tanh_(fetch(t_LSTM_forward_symbolic_gates_t, at_band(v19 + 4)) + a24) + v80;
  vec4 v83 = sigmoid_(fetch(t_LSTM_forward_symbolic_gates_t, at_band(v19 + 6)) + a22) * tanh_(v81);
  t_LSTM_forward_symbolic_h_t_2 = stored(v83);
  t_LSTM_forward_symbolic_c_t_2 = stored(v81);
}

// LSTM_forward_symbolic_2.gather: LSTM LSTM_forward_symbolic
uniform FLOATS t_LSTM_forward_symbolic_h_t;
uniform FLOATS t_LSTM_forward_symbolic_h_t_2;
uniform int n_b, n_t;
layout(location = 0) out FLOAT4 t_LSTM_forward_symbolic_y_t;
void main() {
  int q = texel(ivec2(gl_FragCoord.xy));
  int v2 = n_b;
  int v4 = v2 * 2;
  if (q >= v4 * n_t) return;
  int v6 = q / v4;
  vec4 x11 = (((v6 + 1) & 1) == 0 ? fetch(t_LSTM_forward_symbolic_h_t, block((v6 + 1) >> 1, v4) + at_band(v2 * -2 * v6 + q)) : fetch(t_LSTM_forward_symbolic_h_t_2, block((v6 + 1) >> 1, v4) + at_band(v2 * -2 * v6 + q)));
  t_LSTM_forward_symbolic_y_t = stored(x11);
}

// y2_1: output y2
// y1_1: output y1
uniform FLOATS t_LSTM_forward_symbolic_h_t;
uniform int n_b, n_t;
layout(location = 0) out FLOAT4 t_y1;
void main() {
  int q = texel(ivec2(gl_FragCoord.xy));
  int v3 = n_b * 2;
  if (q >= v3) return;
  t_y1 = stored(fetch(t_LSTM_forward_symbolic_h_t, block(n_t / 2, v3) + at_band(q)));
}
