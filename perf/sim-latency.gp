# SPDX-License-Identifier: BSD-3-Clause
# Plots sim-latency.tsv, which sim.sh makes.
set terminal svg size 760,560 font "Helvetica,13" background "white"
set output "sim-latency.svg"
set datafile separator tab
set grid xtics ytics linecolor rgb "#dddddd" linetype 1
set border 3
set tics nomirror
set title "Gets of what 20 of 10,000 nodes have" font ",14"
set logscale x
set xrange [0.05:3000]
set yrange [0:1]
set xlabel "ms"
set ylabel "share"
set key below reverse Left samplen 3 spacing 1.15
plot "sim-latency.tsv" using 2:1 title "get, three levels" with linespoints lc rgb "#0072b2" lw 2 pt 7 ps 0.6, \
     "" using 3:1 title "get, one level" with linespoints lc rgb "#d55e00" lw 2 pt 5 ps 0.6, \
     "" using 4:1 title "get, Kademlia" with linespoints lc rgb "#999999" lw 2 pt 9 ps 0.8, \
     "" using 5:1 title "round trip to the holder, three levels" with lines lc rgb "#0072b2" lw 1 dt 2, \
     "" using 6:1 title "to the holder, one level" with lines lc rgb "#d55e00" lw 1 dt 2, \
     "" using 7:1 title "to the holder, Kademlia" with lines lc rgb "#999999" lw 1 dt 2
