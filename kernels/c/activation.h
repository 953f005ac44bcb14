/* The activations of linear, of a vector: 0 none, 1 gelu, 2 relu2 (max(0, x)^2). */
#pragma once
#include "gelu.h"

INLINE vf v_activate(int kind, vf x) {
    if (kind == 1) return v_gelu(x);
    if (kind == 2) {
        vf positive = v_max(x, v_zero());
        return v_mul(positive, positive);
    }
    return x;
}

/* act'(x) */
INLINE vf v_activation_slope(int kind, vf x) {
    if (kind == 1) return v_gelu_slope(x);
    if (kind == 2) {
        vf positive = v_max(x, v_zero());
        return v_add(positive, positive);
    }
    return v_set1(1);
}
