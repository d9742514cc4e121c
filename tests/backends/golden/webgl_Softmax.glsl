// Softmax_1: Softmax Softmax
uniform FLOATS t_x0;
layout(location = 0) out FLOAT4 t_Softmax_t_1;
ivec4 pick(bvec4 c, ivec4 a, ivec4 b) {
  return b ^ ((a ^ b) & -ivec4(c));
}
uvec4 pick(bvec4 c, uvec4 a, uvec4 b) {
  return uvec4(pick(c, ivec4(a), ivec4(b)));
}
bvec4 pick(bvec4 c, bvec4 a, bvec4 b) {
  return bvec4(pick(c, ivec4(a), ivec4(b)));
}
// e to the x.
vec4 exp_(vec4 x) {
  vec4 v4 = roundEven(x * 1.442695);
  vec4 v6 = v4 * -1.4286068e-6 + (v4 * -0.69314575 + x);
  vec4 v10 = v6 * (v6 * (v6 * (v6 * 0.0013820136 + 0.008368686) + 0.041668274) + 0.16666521) + 0.49999994;
  vec4 v17 = intBitsToFloat(floatBitsToInt(v6 * (v6 * v10 + 1.0) + 1.0) + (ivec4(v4) << 23));
  ivec4 v19 = pick(greaterThan(x, vec4(88.72283)), ivec4(2139095040), floatBitsToInt(v17));
  return mix(intBitsToFloat(v19), vec4(0.0), lessThan(x, vec4(-87.33654)));
}
void main() {
  int q = texel(ivec2(gl_FragCoord.xy));
  int v2 = q / 9;
  int v5 = v2 * 9;
  float a10 = -3.4028235e+38;
  for (int k9 = 0; k9 < 9; k9++) {
    vec4 x13 = fetch(t_x0, ivec2(v5 + k9, 0));
    a10 = max(max(max(max(a10, x13.x), x13.y), x13.z), x13.w);
  }
  t_Softmax_t_1 = stored(exp_(fetch(t_x0, ivec2(v5 + (q + v2 * -9), 0)) - a10));
}

// y0_1: output y0
uniform FLOATS t_Softmax_t_1;
layout(location = 0) out FLOAT4 t_y0;
void main() {
  int q = texel(ivec2(gl_FragCoord.xy));
  int v2 = q / 9;
  int v5 = v2 * 9;
  float a9 = 0.0;
  for (int k8 = 0; k8 < 9; k8++) {
    vec4 x11 = fetch(t_Softmax_t_1, at_band(v5 + k8));
    a9 = a9 + x11.x + x11.y + x11.z + x11.w;
  }
  t_y0 = stored(fetch(t_Softmax_t_1, at_band(v5 + (q + v2 * -9))) / a9);
}
