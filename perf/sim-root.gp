# SPDX-License-Identifier: BSD-3-Clause
# Plots sim-root.tsv, which sim.sh makes.
set terminal svg size 760,560 font "Helvetica,13" background "white"
set output "sim-root.svg"
set datafile separator tab
set grid xtics ytics linecolor rgb "#dddddd" linetype 1
set border 3
set tics nomirror
set title "Asks a minute at the busiest node of a key that all nodes put" font ",14"
set logscale xy
set xrange [400:13000]
set yrange [5:3000]
set xlabel "nodes"
set ylabel "a minute"
set key below reverse Left samplen 3 spacing 1.15
ceil2(x, b) = 12 * (2**b - 1) * ceil(log(x) / log(2) / b)
plot ceil2(x, 1) title "bound, b = 1: beta (2^b - 1) ceil(log2 n / b)" with lines lc rgb "#0072b2" lw 1 dt 2, \
     ceil2(x, 3) title "bound, b = 3" with lines lc rgb "#009e73" lw 1 dt 2, \
     "sim-root.tsv" using 1:($2 == 1 ? $5 : NaN):8:7 title "b = 1, mean, least and most" with yerrorbars lc rgb "#0072b2" pt 7, \
     "" using ($1 * 1.04):($2 == 3 ? $5 : NaN):8:7 title "b = 3" with yerrorbars lc rgb "#009e73" pt 9, \
     "" using 1:($2 == 1 ? $10 : NaN) title "Kademlia, as many puts as at b = 1" with points lc rgb "#999999" pt 2, \
     "" using 1:($2 == 3 ? $10 : NaN) title "Kademlia, as at b = 3" with points lc rgb "#999999" pt 1
