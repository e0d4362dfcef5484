# SPDX-License-Identifier: BSD-3-Clause
# Plots goodput.tsv, which goodput.sh makes, with the formulae beside it.
set terminal svg size 760,500 font "Helvetica,13" background "white"
set output "goodput.svg"
set datafile separator tab

mss = 1448.0
rtt = 0.02
mbit(segments) = segments * mss * 8 / rtt / 1e6 # segments in flight, on average
reno(p) = mbit(sqrt(1.5 / p))                   # Mathis et al. 1997; 1.22 / sqrt(p)
cubic(p) = mbit((0.4 * 3.7 / (4 * 0.3))**0.25 * (rtt / p)**0.75) # RFC 9438 5
window = 448 * 1024 * 8 / rtt / 1e6

set logscale xy
set xrange [0.0008:12]
set yrange [1:300]
set xtics ("0.001" 0.001, "0.01" 0.01, "0.1" 0.1, "1" 1, "10" 10)
set ytics (1, 2, 5, 10, 20, 50, 100, 200)
set xlabel "loss, % of segments"
set ylabel "goodput, Mbit/s"
set title "One flow, 200 Mbit/s, 20 ms, a buffer of one bandwidth-delay product" font ",14"
set grid xtics ytics linecolor rgb "#dddddd" linetype 1
set border 3
set tics nomirror
set key bottom left reverse Left samplen 3 spacing 1.15

lost(x) = x > 0 ? x : NaN # a logarithm has no place for 0
plot window title "receive window / round trip" with lines lc rgb "#999999" lw 1, \
     reno(x / 100) title "Reno: 1.22 / sqrt(p) segments (Mathis)" with lines lc rgb "#0072b2" lw 1 dt 2, \
     cubic(x / 100) title "CUBIC, were it not Reno-friendly (RFC 9438 5)" with lines lc rgb "#d55e00" lw 1 dt 2, \
     "goodput.tsv" using (lost($1)):2 title "newreno" with linespoints lc rgb "#0072b2" lw 2 pt 7 ps 0.6, \
     "" using (lost($1)):3 title "cubic" with linespoints lc rgb "#d55e00" lw 2 pt 5 ps 0.6, \
     "" using (lost($1)):4 title "bbr" with linespoints lc rgb "#009e73" lw 2 pt 9 ps 0.8
