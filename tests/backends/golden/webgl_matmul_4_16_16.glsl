// y0_1: output y0
uniform FLOATS t_x0;
uniform FLOATS t_matmul_4_16_16_w;
layout(location = 0) out FLOAT4 t_y0;
void main() {
  int q = texel(ivec2(gl_FragCoord.xy));
  int v3 = q / 4;
  int v4 = q / 2;
  int v10 = v3 * 4;
  int v16 = (v4 + v3 * -2) * 32 + (q + v4 * -2);
  vec4 a9 = vec4(0.0);
  for (int k2 = 0; k2 < 4; k2++) {
    vec4 x13 = fetch(t_x0, ivec2(v10 + k2, 0));
    ivec2 v18 = ivec2(v16 + k2 * 8, 0);
    vec4 v24 = x13.y * fetch(t_matmul_4_16_16_w, v18 + ivec2(2, 0)) + (x13.x * fetch(t_matmul_4_16_16_w, v18) + a9);
    vec4 v26 = x13.w * fetch(t_matmul_4_16_16_w, v18 + ivec2(6, 0)) + (x13.z * fetch(t_matmul_4_16_16_w, v18 + ivec2(4, 0)) + v24);
    a9 = v26;
  }
  t_y0 = stored(a9);
}
