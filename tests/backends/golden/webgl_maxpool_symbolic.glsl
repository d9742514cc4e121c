// y0_1: output y0
uniform FLOATS t_x0;
uniform int n_h, n_w;
layout(location = 0) out FLOAT4 t_y0;
void main() {
  int q = texel(ivec2(gl_FragCoord.xy));
  int v2 = n_h;
  int v3 = v2 / 2;
  int v4 = n_w;
  int v5 = v4 / 2;
  if (q >= v3 * 2 * v5) return;
  int v11 = q / (v3 * v5);
  int v14 = q / v5;
  int v29 = v11 * v2 * v4 + (v11 * -1 * v3 + v14) * 2 * v4 + (v14 * -1 * v5 + q) * 2;
  vec4 a19 = vec4(intBitsToFloat(-8388608 + zero));
  for (int k9 = 0; k9 < 2; k9++) {
    int v30 = v29 + v4 * k9;
    vec4 a21 = a19;
    for (int k20 = 0; k20 < 2; k20++) {
      a21 = max(a21, fetch(t_x0, at_line(v30 + k20)));
    }
    a19 = a21;
  }
  t_y0 = stored(a19);
}
