# SPDX-License-Identifier: BSD-3-Clause
# Plots cache-churn.tsv: coral-perf cache --op churn >cache-churn.tsv; gnuplot cache-churn.gp
set terminal svg size 860,460 font "Helvetica,13" background "white"
set output "cache-churn.svg"
set datafile separator tab
set title "Useful memory while the mix of sizes changes completely, cache of 256 MiB" font ",14"
set xlabel "body bytes stored, in sizes of the cache"
set ylabel "share of what bodies take that is body"
set yrange [0:1.05]
set xrange [0:12]
set grid xtics ytics linecolor rgb "#dddddd" linetype 1
set border 3
set tics nomirror
set key below reverse Left samplen 3
do for [i = 1:3] { set arrow from 3 * i, 0 to 3 * i, 1.05 nohead lc rgb "#999999" dt 2 }
array mix[4] = ["a CDN's: 34 KB", "small: 1.5 KB", "large: 540 KB", "a CDN's"]
do for [i = 1:4] { set label mix[i] at 3 * i - 1.5, 1.03 center }
plot 0.9 notitle with lines lc rgb "#bbbbbb" lw 1, \
     "cache-churn.tsv" skip 2 using 1:2 title "lengths known: chunks, runs of lines" with lines lc rgb "#0072b2" lw 2, \
     "" skip 2 using 1:3 title "unknown: chunks while they grow, then as the others" with lines lc rgb "#d55e00" lw 2, \
     "" skip 2 using 1:6 title "heads' share of the cache" with lines lc rgb "#009e73" lw 2
