// concat_2: Concat concat
uniform FLOATS t_x2;
uniform FLOATS t_x1;
uniform FLOATS t_x0;
layout(location = 0) out FLOAT4 t_concat_t;
void main() {
  ivec4 v3 = texel(ivec2(gl_FragCoord.xy)) * 4 + ivec4(0, 1, 2, 3);
  ivec4 v4 = v3 / 9;
  ivec4 v6 = v3 + v4 * -9;
  bvec4 v8 = greaterThanEqual(v6 - 4, ivec4(0));
  ivec4 t1 = v4 * 5 + v6 - 4;
  vec4 x12 = mix(vec4(0.0), vec4(fetch(t_x2, at_line(t1.x >> 2))[t1.x & 3], fetch(t_x2, at_line(t1.y >> 2))[t1.y & 3], fetch(t_x2, at_line(t1.z >> 2))[t1.z & 3], fetch(t_x2, at_line(t1.w >> 2))[t1.w & 3]), v8);
  bvec4 v13 = equal(ivec4(3), v6);
  vec4 x14 = mix(vec4(0.0), vec4(fetch(t_x1, at_line(v4.x >> 2))[v4.x & 3], fetch(t_x1, at_line(v4.y >> 2))[v4.y & 3], fetch(t_x1, at_line(v4.z >> 2))[v4.z & 3], fetch(t_x1, at_line(v4.w >> 2))[v4.w & 3]), v13);
  bvec4 v15 = lessThan(v6, ivec4(3));
  ivec4 t2 = v4 * 3 + v6;
  vec4 x18 = mix(vec4(0.0), vec4(fetch(t_x0, at_line(t2.x >> 2))[t2.x & 3], fetch(t_x0, at_line(t2.y >> 2))[t2.y & 3], fetch(t_x0, at_line(t2.z >> 2))[t2.z & 3], fetch(t_x0, at_line(t2.w >> 2))[t2.w & 3]), v15);
  t_concat_t = stored(mix(mix(mix(vec4(0.0), x18, v15), x14, v13), x12, v8));
}
