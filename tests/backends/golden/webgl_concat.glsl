// concat_2: Concat concat
uniform FLOATS t_x2;
uniform FLOATS t_x1;
uniform FLOATS t_x0;
layout(location = 0) out FLOAT4 t_concat_t;
vec4 fetch_each_at_line(FLOATS s, ivec4 e) {
  return vec4(fetch(s, at_line(e.x >> 2))[e.x & 3],
    fetch(s, at_line(e.y >> 2))[e.y & 3],
    fetch(s, at_line(e.z >> 2))[e.z & 3],
    fetch(s, at_line(e.w >> 2))[e.w & 3]);
}
void main() {
  ivec4 v3 = texel(ivec2(gl_FragCoord.xy)) * 4 + ivec4(0, 1, 2, 3);
  ivec4 v4 = v3 / 9;
  ivec4 v6 = v3 + v4 * -9;
  bvec4 v8 = greaterThanEqual(v6 - 4, ivec4(0));
  bvec4 v13 = equal(ivec4(3), v6);
  bvec4 v15 = lessThan(v6, ivec4(3));
  vec4 v19 = mix(vec4(0.0), mix(vec4(0.0), fetch_each_at_line(t_x0, v4 * 3 + v6), v15), v15);
  vec4 v21 = mix(mix(v19, mix(vec4(0.0), fetch_each_at_line(t_x1, v4), v13), v13), mix(vec4(0.0), fetch_each_at_line(t_x2, v4 * 5 + v6 - 4), v8), v8);
  t_concat_t = stored(v21);
}
