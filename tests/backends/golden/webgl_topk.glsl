// topk: TopK topk
layout(location = 0) out ivec4 t_topk_picked_t;
void main() {
  t_topk_picked_t = ivec4(0);
}

// topk_1: TopK topk
uniform FLOATS t_x0;
uniform isampler2D t_topk_picked_t;
uniform int n_step0;
layout(location = 0) out ivec4 t_topk_picked_t_2;
bvec4 both(bvec4 a, bvec4 b) {
  return bvec4(ivec4(a) & ivec4(b));
}
bvec4 either(bvec4 a, bvec4 b) {
  return bvec4(ivec4(a) | ivec4(b));
}
ivec4 pick(bvec4 c, ivec4 a, ivec4 b) {
  return b ^ ((a ^ b) & -ivec4(c));
}
uvec4 pick(bvec4 c, uvec4 a, uvec4 b) {
  return uvec4(pick(c, ivec4(a), ivec4(b)));
}
bvec4 pick(bvec4 c, bvec4 a, bvec4 b) {
  return bvec4(pick(c, ivec4(a), ivec4(b)));
}
vec4 fetch_each_at_line(FLOATS s, ivec4 e) {
  return vec4(fetch(s, at_line(e.x >> 2))[e.x & 3],
    fetch(s, at_line(e.y >> 2))[e.y & 3],
    fetch(s, at_line(e.z >> 2))[e.z & 3],
    fetch(s, at_line(e.w >> 2))[e.w & 3]);
}
// True for NaN, by its bits.
bvec4 is_nan_(vec4 x) {
  return greaterThan(floatBitsToInt(x) & 2147483647, ivec4(2139095040));
}
void main() {
  int v2 = n_step0;
  ivec4 v8 = ivec4(0, 1, 2, 3) * 10;
  ivec4 x22 = ifetch(t_topk_picked_t, block(v2 / 2, 1) + at_band(0));
  vec4 x24 = fetch_each_at_line(t_x0, v8 + x22);
  ivec4 v26 = floatBitsToInt(x24);
  ivec4 v32 = pick(equal(v26 & 2147483647, ivec4(0)), ivec4(0), pick(lessThan(v26, ivec4(0)), v26 ^ 2147483647, v26));
  ivec4 v33 = pick(is_nan_(x24), ivec4(2147483647), v32);
  bool v39 = v2 == 0;
  ivec4 a7 = ivec4(-1);
  for (int k6 = 0; k6 < 10; k6++) {
    vec4 x10 = fetch_each_at_line(t_x0, v8 + k6);
    ivec4 v12 = floatBitsToInt(x10);
    ivec4 v18 = pick(equal(v12 & 2147483647, ivec4(0)), ivec4(0), pick(lessThan(v12, ivec4(0)), v12 ^ 2147483647, v12));
    ivec4 v19 = pick(is_nan_(x10), ivec4(2147483647), v18);
    bvec4 v38 = either(lessThan(v19, v33), both(equal(v19, v33), greaterThan(ivec4(k6), x22)));
    vec4 x44 = fetch_each_at_line(t_x0, v8 + max(a7, ivec4(0)));
    ivec4 v46 = floatBitsToInt(x44);
    ivec4 v52 = pick(equal(v46 & 2147483647, ivec4(0)), ivec4(0), pick(lessThan(v46, ivec4(0)), v46 ^ 2147483647, v46));
    bvec4 v55 = either(lessThan(a7, ivec4(0)), greaterThan(v19, pick(is_nan_(x44), ivec4(2147483647), v52)));
    a7 = pick(both(either(v38, bvec4(v39)), v55), ivec4(k6), a7);
  }
  t_topk_picked_t_2 = a7;
}

// topk_1.gather: TopK topk
uniform isampler2D t_topk_picked_t;
uniform isampler2D t_topk_picked_t_2;
layout(location = 0) out ivec4 t_topk_indices_t;
void main() {
  ivec4 v3 = texel(ivec2(gl_FragCoord.xy)) * 4 + ivec4(0, 1, 2, 3);
  ivec4 v4 = v3 / 3;
  ivec4 t1 = v3 + v4 * -3 + 1;
  int t2 = 1;
  ivec4 x8 = ivec4(((t1.x & 1) == 0 ? ifetch(t_topk_picked_t, block(t1.x >> 1, t2) + at_band(v4.x >> 2))[v4.x & 3] : ifetch(t_topk_picked_t_2, block(t1.x >> 1, t2) + at_band(v4.x >> 2))[v4.x & 3]), ((t1.y & 1) == 0 ? ifetch(t_topk_picked_t, block(t1.y >> 1, t2) + at_band(v4.y >> 2))[v4.y & 3] : ifetch(t_topk_picked_t_2, block(t1.y >> 1, t2) + at_band(v4.y >> 2))[v4.y & 3]), ((t1.z & 1) == 0 ? ifetch(t_topk_picked_t, block(t1.z >> 1, t2) + at_band(v4.z >> 2))[v4.z & 3] : ifetch(t_topk_picked_t_2, block(t1.z >> 1, t2) + at_band(v4.z >> 2))[v4.z & 3]), ((t1.w & 1) == 0 ? ifetch(t_topk_picked_t, block(t1.w >> 1, t2) + at_band(v4.w >> 2))[v4.w & 3] : ifetch(t_topk_picked_t_2, block(t1.w >> 1, t2) + at_band(v4.w >> 2))[v4.w & 3]));
  t_topk_indices_t = x8;
}

// y0_1: output y0
uniform FLOATS t_x0;
uniform isampler2D t_topk_indices_t;
layout(location = 0) out FLOAT4 t_y0;
vec4 fetch_each_at_line(FLOATS s, ivec4 e) {
  return vec4(fetch(s, at_line(e.x >> 2))[e.x & 3],
    fetch(s, at_line(e.y >> 2))[e.y & 3],
    fetch(s, at_line(e.z >> 2))[e.z & 3],
    fetch(s, at_line(e.w >> 2))[e.w & 3]);
}
void main() {
  int q = texel(ivec2(gl_FragCoord.xy));
  ivec4 v7 = (q * 4 + ivec4(0, 1, 2, 3)) / 3 * 10 + ifetch(t_topk_indices_t, at_band(q));
  t_y0 = stored(fetch_each_at_line(t_x0, v7));
}
