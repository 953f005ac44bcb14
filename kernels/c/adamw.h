/* AdamW's arithmetic on one vector, for adamw.c and adamw8bit.c; the formulas stand in adamw.c. */
#pragma once
#include "simd.h"

typedef struct {
    vf grad_scale, toward1, toward2, decay, rate, root_correction, eps;
} AdamwVectors;

static inline AdamwVectors adamw_vectors(const adamw_factors *f) {
    return (AdamwVectors){
        v_set1(f->grad_scale), v_set1(f->toward1), v_set1(f->toward2), v_set1(f->decay),
        v_set1(f->rate), v_set1(f->root_correction), v_set1(f->eps),
    };
}

/* Returns the new parameter; m and v become the new moments. */
static inline vf adamw_lanes(vf param, vf grad, vf *m, vf *v, const AdamwVectors *f) {
    vf g = v_mul(grad, f->grad_scale);
    *m = v_fma(v_sub(g, *m), f->toward1, *m);
    *v = v_fma(v_fma(g, g, v_sub(v_zero(), *v)), f->toward2, *v);
    vf step = v_div(v_mul(*m, f->rate), v_fma(v_sqrt(*v), f->root_correction, f->eps));
    return v_sub(v_mul(param, f->decay), step);
}
