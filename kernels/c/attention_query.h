/* One query alone, as when a model writes text token by token.
 *
 * A panel (attention_tile.h) would be nearly empty, so here the vectors lie along D, and LANES keys'
 * partial products are transposed to be summed. Memory sets the pace: k and v are read once.
 */
#pragma once
#include "attention_sight.h"

static const float NO_SCORE = -3e38f; /* below any score, yet -inf minus it is -inf and not nan */

/* y and lse of query i.  out: D floats, rounded up to LANES. */
static void attention_query(const attention_shape *s, const attention_sight *sight, int64_t i,
                            attention_rows q, attention_rows k, attention_rows v, attention_rows y,
                            float *lse, float *out) {
    int64_t D = s->D, end = attention_end(s, i), begin = sight->first ? sight->first[i] : 0;
    if (sight->last && sight->last[i] < end) end = sight->last[i];
    const float *query = attention_row(q, i);
    float weight[LANES], peak = NO_SCORE;
    vf total = v_zero(), factor = v_set1(s->scale * LOG2_E);
    memset(out, 0, sizeof(float) * (D + LANES));
    for (int64_t j = begin; j < end; j += LANES) {
        int64_t keys = end - j < LANES ? end - j : LANES;
        vf dot[LANES];
        for (int l = 0; l < LANES; l++) {
            dot[l] = v_zero();
            const float *key = k.at + (j + l) * k.step;
            for (int64_t d = 0; l < keys && d < D; d += LANES) {
                vf part = attention_load(key + d, D - d);
                dot[l] = v_fma(attention_load(query + d, D - d), part, dot[l]);
            }
        }
        v_transpose(dot);
        for (int half = LANES / 2; half > 0; half /= 2)
            for (int l = 0; l < half; l++) dot[l] = v_add(dot[l], dot[l + half]);
        vf score = v_mul(dot[0], factor);
        if (sight->bias) {
            float bias[LANES];
            for (int l = 0; l < LANES; l++) bias[l] = l < keys ? sight->bias[i - j - l] : 0;
            score = v_fma(v_load(bias), v_set1(LOG2_E), score);
        }
        score = v_select(v_first(keys), score, v_set1(-INFINITY));
        float top = v_reduce_max(v_max(v_set1(peak), score));
        vf keep = attention_exp2(v_set1(peak - top)), e = attention_exp2(v_sub(score, v_set1(top)));
        peak = top;
        total = v_fma(total, keep, e);
        v_store(weight, e);
        for (int64_t d = 0; d < D; d += LANES) {
            vf sum = v_mul(keep, v_load(out + d));
            for (int l = 0; l < keys; l++) {
                const float *value = v.at + (j + l) * v.step + d;
                sum = v_fma(v_set1(weight[l]), attention_load(value, D - d), sum);
            }
            v_store(out + d, sum);
        }
    }
    float sum = v_reduce_add(total), inverse = sum == 0 ? 0 : 1 / sum;
    lse[i] = sum == 0 ? -INFINITY : peak * LN_2 + logf(sum);
    for (int64_t d = 0; d < D; d += LANES)
        attention_store(y.at + i * y.step + d, v_mul(v_set1(inverse), v_load(out + d)), D - d);
}
