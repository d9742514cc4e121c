// topk: TopK topk
layout(location = 0) out ivec4 t_topk_picked_t;
void main() {
  t_topk_picked_t = ivec4(0);
}

// topk_1: TopK topk
uniform FLOATS t_x0;
uniform isampler2D t_topk_picked_t;
uniform int n_s1;
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
  int v2 = n_s1;
  int q = texel(ivec2(gl_FragCoord.xy) - block((v2 + 1) / 2, 1));
  ivec4 v10 = q * 40 + ivec4(0, 1, 2, 3) * 10;
  ivec4 x24 = ifetch(t_topk_picked_t, block(v2 / 2, 1) + at_band(q));
  vec4 x26 = fetch_each_at_line(t_x0, v10 + x24);
  ivec4 v28 = floatBitsToInt(x26);
  ivec4 v34 = pick(equal(v28 & 2147483647, ivec4(0)), ivec4(0), pick(lessThan(v28, ivec4(0)), v28 ^ 2147483647, v28));
  ivec4 v35 = pick(is_nan_(x26), ivec4(2147483647), v34);
  bool v41 = v2 == 0;
  ivec4 a7 = ivec4(-1);
  for (int k6 = 0; k6 < 10; k6++) {
    vec4 x12 = fetch_each_at_line(t_x0, v10 + k6);
    ivec4 v14 = floatBitsToInt(x12);
    ivec4 v20 = pick(equal(v14 & 2147483647, ivec4(0)), ivec4(0), pick(lessThan(v14, ivec4(0)), v14 ^ 2147483647, v14));
    ivec4 v21 = pick(is_nan_(x12), ivec4(2147483647), v20);
    bvec4 v40 = either(lessThan(v21, v35), both(equal(v21, v35), greaterThan(ivec4(k6), x24)));
    vec4 x46 = fetch_each_at_line(t_x0, v10 + max(a7, ivec4(0)));
    ivec4 v48 = floatBitsToInt(x46);
    ivec4 v54 = pick(equal(v48 & 2147483647, ivec4(0)), ivec4(0), pick(lessThan(v48, ivec4(0)), v48 ^ 2147483647, v48));
    bvec4 v57 = either(lessThan(a7, ivec4(0)), greaterThan(v21, pick(is_nan_(x46), ivec4(2147483647), v54)));
    a7 = pick(both(either(v40, bvec4(v41)), v57), ivec4(k6), a7);
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
  ivec4 v7 = ifetch(t_topk_indices_t, at_band(q)) + (q * 4 + ivec4(0, 1, 2, 3)) / 3 * 10;
  t_y0 = stored(fetch_each_at_line(t_x0, v7));
}
