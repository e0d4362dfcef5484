# SPDX-License-Identifier: BSD-3-Clause
# Plots sim-cold.tsv, which sim.sh makes.
set terminal svg size 760,560 font "Helvetica,13" background "white"
set output "sim-cold.svg"
set datafile separator tab
set grid xtics ytics linecolor rgb "#dddddd" linetype 1
set border 3
set tics nomirror
set title "Clusters from a cold start, 1000 nodes" font ",14"
set xrange [0:26]
set yrange [0:1.02]
set xlabel "minutes"
set ylabel "share of pairs"
set key below reverse Left samplen 3 spacing 1.15
plot "sim-cold.tsv" using 1:2 title "purity, level 1 (60 ms)" with lines lc rgb "#0072b2" lw 2 dt 2, \
     "" using 1:3 title "recall, level 1" with lines lc rgb "#0072b2" lw 2, \
     "" using 1:6 title "purity, level 2 (20 ms)" with lines lc rgb "#d55e00" lw 2 dt 2, \
     "" using 1:7 title "recall, level 2" with lines lc rgb "#d55e00" lw 2
