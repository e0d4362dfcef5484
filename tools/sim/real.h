/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Elementary functions made of IEEE 754's basic operations alone (the tree is compiled with
 * -ffp-contract=off), so that tables built with them are the same on all machines and with all
 * C libraries: libm's results differ in the last bit. Slow; only for making tables at start. Good
 * to about 1e-14 relative, real_normal() to 1e-9.
 */
#ifndef CORAL_TOOLS_SIM_REAL_H
#define CORAL_TOOLS_SIM_REAL_H

#define REAL_PI 3.14159265358979323846

double real_exp(double x);           /* |x| <= 700 */
double real_log(double x);           /* x > 0 */
double real_pow(double x, double y); /* x >= 0 */
double real_sin(double x);           /* |x| <= 2 pi */
double real_cos(double x);           /* |x| <= 2 pi */
double real_asin(double x);          /* 0 <= x <= 1 */
/* The value below which a standard normal variable lies with probability u, 0 < u < 1. */
double real_normal(double u);

#endif
