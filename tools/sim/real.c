/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/real.h"

#define LN2 0.69314718055994530942

double real_exp(double x)
{
    int doublings = 0;
    for (; x > LN2 / 2; doublings++)
        x -= LN2;
    for (; x < -LN2 / 2; doublings--)
        x += LN2;
    double sum = 1, term = 1;
    for (int i = 1; i <= 18; i++) {
        term *= x / i;
        sum += term;
    }
    for (; doublings > 0; doublings--)
        sum *= 2;
    for (; doublings < 0; doublings++)
        sum /= 2;
    return sum;
}

/* log m = 2 artanh((m - 1) / (m + 1)) */
double real_log(double x)
{
    int doublings = 0;
    for (; x > 1.4142135623730951; doublings++)
        x /= 2;
    for (; x < 0.7071067811865475; doublings--)
        x *= 2;
    double s = (x - 1) / (x + 1), power = s, sum = 0;
    for (int i = 1; i <= 43; i += 2) {
        sum += power / i;
        power *= s * s;
    }
    return 2 * sum + doublings * LN2;
}

double real_pow(double x, double y)
{
    return x > 0 ? real_exp(y * real_log(x)) : 0;
}

double real_sin(double x)
{
    double sum = x, term = x;
    for (int i = 2; i <= 48; i += 2) {
        term *= -x * x / (i * (i + 1));
        sum += term;
    }
    return sum;
}

double real_cos(double x)
{
    double sum = 1, term = 1;
    for (int i = 1; i <= 47; i += 2) {
        term *= -x * x / (i * (i + 1));
        sum += term;
    }
    return sum;
}

double real_asin(double x)
{
    if (x > 0.5) /* half the angle: the series converges slowly near 1 */
        return REAL_PI / 2 - 2 * real_asin(real_pow((1 - x) / 2, 0.5));
    double sum = x, term = x;
    for (int i = 1; i <= 51; i += 2) {
        term *= x * x * i / (i + 1);
        sum += term / (i + 2);
    }
    return sum;
}

/* P. J. Acklam's rational approximation, relative error below 1.2e-9. */
double real_normal(double u)
{
    if (u > 0.5)
        return -real_normal(1 - u);
    if (u < 0.02425) {
        double q = real_pow(-2 * real_log(u), 0.5);
        return (((((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q -
                   2.400758277161838e+00) *
                      q -
                  2.549732539343734e+00) *
                     q +
                 4.374664141464968e+00) *
                    q +
                2.938163982698783e+00) /
               ((((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996e+00) *
                     q +
                 3.754408661907416e+00) *
                    q +
                1);
    }
    double q = u - 0.5, r = q * q;
    return (((((-3.969683028665376e+01 * r + 2.209460984245205e+02) * r - 2.759285104469687e+02) *
                  r +
              1.383577518672690e+02) *
                 r -
             3.066479806614716e+01) *
                r +
            2.506628277459239e+00) *
           q /
           (((((-5.447609879822406e+01 * r + 1.615858368580409e+02) * r - 1.556989798598866e+02) *
                  r +
              6.680131188771972e+01) *
                 r -
             1.328068155288572e+01) *
                r +
            1);
}
