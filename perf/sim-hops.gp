# SPDX-License-Identifier: BSD-3-Clause
# Plots sim-hops.tsv, which sim.sh makes.
set terminal svg size 760,560 font "Helvetica,13" background "white"
set output "sim-hops.svg"
set datafile separator tab
set grid xtics ytics linecolor rgb "#dddddd" linetype 1
set border 3
set tics nomirror
set title "RPCs to the node closest to a key, full tables, one level" font ",14"
set logscale x
set xrange [800:1300000]
set yrange [0:20]
set xlabel "nodes"
set ylabel "mean"
set key below reverse Left samplen 3 spacing 1.15
log2(x) = log(x) / log(2)
plot log2(x) - 2 title "b = 1, expected" with lines lc rgb "#0072b2" lw 1 dt 2, \
     log2(x) / 2 - 0.45 title "b = 2, expected" with lines lc rgb "#d55e00" lw 1 dt 2, \
     log2(x) / 3 - 0.13 title "b = 3, expected" with lines lc rgb "#009e73" lw 1 dt 2, \
     "sim-hops.tsv" using 1:($2 == 1 ? $4 : NaN) title "b = 1, hedges counted" with points lc rgb "#0072b2" pt 7, \
     "" using 1:($2 == 1 ? $6 : NaN) title "b = 1, path alone" with points lc rgb "#0072b2" pt 6, \
     "" using 1:($2 == 2 ? $4 : NaN) title "b = 2" with points lc rgb "#d55e00" pt 5, \
     "" using 1:($2 == 2 ? $6 : NaN) title "b = 2, path alone" with points lc rgb "#d55e00" pt 4, \
     "" using 1:($2 == 3 ? $4 : NaN) title "b = 3" with points lc rgb "#009e73" pt 9, \
     "" using 1:($2 == 3 ? $6 : NaN) title "b = 3, path alone" with points lc rgb "#009e73" pt 8, \
     "" using 1:($2 == 1 ? $10 : NaN) title "Kademlia (k 8, alpha 3), RPCs" with points lc rgb "#999999" pt 2
