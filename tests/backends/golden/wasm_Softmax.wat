(module
  (memory (export "memory") 1)
  (func $floordiv (param $a i32) (param $b i32) (result i32)
    (i32.sub (i32.div_s (local.get $a) (local.get $b))
      (i32.and (i32.lt_s (local.get $a) (i32.const 0))
        (i32.ne (i32.rem_s (local.get $a) (local.get $b)) (i32.const 0)))))
  (func $hsum (param $v v128) (result f32)
    (local.set $v (f32x4.add (local.get $v)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $v) (local.get $v))))
    (f32.add (f32x4.extract_lane 0 (local.get $v)) (f32x4.extract_lane 1 (local.get $v))))
  (func $hmax (param $v v128) (result f32)
    (local.set $v (f32x4.max (local.get $v)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $v) (local.get $v))))
    (f32.max (f32x4.extract_lane 0 (local.get $v)) (f32x4.extract_lane 1 (local.get $v))))
  (func $exp_v (param $x v128) (result v128)
    (local $v4 v128) (local $v6 v128)
    (local.set $v4 (f32x4.nearest (f32x4.mul (local.get $x) (v128.const f32x4 1.44269502 1.44269502 1.44269502 1.44269502))))
    (local.set $v6 (f32x4.relaxed_madd (local.get $v4) (v128.const f32x4 -1.42860677e-06 -1.42860677e-06 -1.42860677e-06 -1.42860677e-06) (f32x4.relaxed_madd (local.get $v4) (v128.const f32x4 -0.693145752 -0.693145752 -0.693145752 -0.693145752) (local.get $x))))
    (v128.bitselect (v128.const f32x4 0 0 0 0) (v128.bitselect (v128.const i32x4 2139095040 2139095040 2139095040 2139095040) (i32x4.add (f32x4.relaxed_madd (local.get $v6) (f32x4.relaxed_madd (local.get $v6) (f32x4.relaxed_madd (local.get $v6) (f32x4.relaxed_madd (local.get $v6) (f32x4.relaxed_madd (local.get $v6) (f32x4.relaxed_madd (local.get $v6) (v128.const f32x4 0.00138201355 0.00138201355 0.00138201355 0.00138201355) (v128.const f32x4 0.00836868584 0.00836868584 0.00836868584 0.00836868584)) (v128.const f32x4 0.0416682735 0.0416682735 0.0416682735 0.0416682735)) (v128.const f32x4 0.166665211 0.166665211 0.166665211 0.166665211)) (v128.const f32x4 0.49999994 0.49999994 0.49999994 0.49999994)) (v128.const f32x4 1 1 1 1)) (v128.const f32x4 1 1 1 1)) (i32x4.shl (i32x4.trunc_sat_f32x4_s (local.get $v4)) (i32.const 23))) (f32x4.gt (local.get $x) (v128.const f32x4 88.7228317 88.7228317 88.7228317 88.7228317))) (f32x4.lt (local.get $x) (v128.const f32x4 -87.3365402 -87.3365402 -87.3365402 -87.3365402))))
  ;; Softmax Softmax
  (func $0.0/Softmax
    (local $i1 i32) (local $v5 i32) (local $k3 i32) (local $a4 v128) (local $x8 v128)
    (local.set $i1 (i32.const 0))
    (loop $i1
      (local.set $v5 (i32.mul (local.get $i1) (i32.const 144)))
      (local.set $a4 (v128.const f32x4 -3.40282347e+38 -3.40282347e+38 -3.40282347e+38 -3.40282347e+38))
      (local.set $k3 (i32.const 0))
      (loop $k3
        (local.set $x8 (v128.load (i32.add (local.get $v5) (i32.shl (local.get $k3) (i32.const 4)))))
        (local.set $a4 (f32x4.max (local.get $a4) (local.get $x8)))
        (br_if $k3 (i32.lt_s (local.tee $k3 (i32.add (local.get $k3) (i32.const 1))) (i32.const 9))))
      (f32.store offset=432 (i32.shl (local.get $i1) (i32.const 2)) (call $hmax (local.get $a4)))
      (br_if $i1 (i32.lt_s (local.tee $i1 (i32.add (local.get $i1) (i32.const 1))) (i32.const 3)))))
  ;; Softmax Softmax
  (func $0.1/Softmax_1
    (local $i2 i32) (local $v4 i32) (local $i3 i32) (local $v6 i32) (local $x9v v128)
    (local.set $i2 (i32.const 0))
    (loop $i2
      (local.set $v4 (i32.mul (local.get $i2) (i32.const 144)))
      (local.set $x9v (v128.load32_splat offset=432 (i32.shl (local.get $i2) (i32.const 2))))
      (local.set $i3 (i32.const 0))
      (loop $i3
        (local.set $v6 (i32.add (local.get $v4) (i32.shl (local.get $i3) (i32.const 2))))
        (v128.store offset=448 (local.get $v6) (call $exp_v (f32x4.sub (v128.load (local.get $v6)) (local.get $x9v))))
        (br_if $i3 (i32.lt_s (local.tee $i3 (i32.add (local.get $i3) (i32.const 4))) (i32.const 36))))
      (br_if $i2 (i32.lt_s (local.tee $i2 (i32.add (local.get $i2) (i32.const 1))) (i32.const 3)))))
  ;; Softmax Softmax
  (func $0.2/Softmax_2
    (local $i1 i32) (local $v5 i32) (local $k3 i32) (local $a4 v128)
    (local.set $i1 (i32.const 0))
    (loop $i1
      (local.set $v5 (i32.mul (local.get $i1) (i32.const 144)))
      (local.set $a4 (v128.const f32x4 0 0 0 0))
      (local.set $k3 (i32.const 0))
      (loop $k3
        (local.set $a4 (f32x4.add (local.get $a4) (v128.load offset=448 (i32.add (local.get $v5) (i32.shl (local.get $k3) (i32.const 4))))))
        (br_if $k3 (i32.lt_s (local.tee $k3 (i32.add (local.get $k3) (i32.const 1))) (i32.const 9))))
      (f32.store (i32.shl (local.get $i1) (i32.const 2)) (call $hsum (local.get $a4)))
      (br_if $i1 (i32.lt_s (local.tee $i1 (i32.add (local.get $i1) (i32.const 1))) (i32.const 3)))))
  ;; output y0
  (func $0.3/y0_1
    (local $i2 i32) (local $v4 i32) (local $i3 i32) (local $v6 i32) (local $x9v v128)
    (local.set $i2 (i32.const 0))
    (loop $i2
      (local.set $v4 (i32.mul (local.get $i2) (i32.const 144)))
      (local.set $x9v (v128.load32_splat (i32.shl (local.get $i2) (i32.const 2))))
      (local.set $i3 (i32.const 0))
      (loop $i3
        (local.set $v6 (i32.add (local.get $v4) (i32.shl (local.get $i3) (i32.const 2))))
        (v128.store offset=16 (local.get $v6) (f32x4.div (v128.load offset=448 (local.get $v6)) (local.get $x9v)))
        (br_if $i3 (i32.lt_s (local.tee $i3 (i32.add (local.get $i3) (i32.const 4))) (i32.const 36))))
      (br_if $i2 (i32.lt_s (local.tee $i2 (i32.add (local.get $i2) (i32.const 1))) (i32.const 3)))))
  (func (export "bind_0")  (result f64) (local $end f64)
    (local.set $end (f64.const 0))
    (local.set $end (f64.max (local.get $end) (f64.const 432)))
    (local.set $end (f64.max (local.get $end) (f64.const 448)))
    (local.set $end (f64.max (local.get $end) (f64.const 880)))
    (local.set $end (f64.max (local.get $end) (f64.const 16)))
    (local.set $end (f64.max (local.get $end) (f64.const 448)))
    (f64.add (local.get $end) (f64.const 1024)))
  (func (export "run_0")
    (call $0.0/Softmax)
    (call $0.1/Softmax_1)
    (call $0.2/Softmax_2)
    (call $0.3/y0_1))
  (func (export "commit_0") (local $t i32)))
