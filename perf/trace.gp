# SPDX-License-Identifier: BSD-3-Clause
# Plots trace-NAME.tsv, which trace.sh makes: gnuplot -e "name='NAME'" trace.gp
set terminal svg size 960,520 font "Helvetica,13" background "white"
set output "trace-".name.".svg"
file = "trace-".name.".tsv"
set datafile separator tab
set logscale x
set xtics ("0.1 %%" 0.001, "0.3 %%" 0.003, "1 %%" 0.01, "3 %%" 0.03, "10 %%" 0.1, "30 %%" 0.3)
set grid xtics ytics linecolor rgb "#dddddd" linetype 1
set border 3
set tics nomirror
set xlabel "cache size, share of the footprint"
set key below reverse Left samplen 2 spacing 1.1 maxrows 4
set yrange [0:1]
set multiplot layout 1,2 title "Miss ratio by policy, trace \"".name."\"" font ",14"
do for [half = 0:1] {
    set ylabel half ? "bytes missed" : "requests missed"
    c = 2 + 11 * half
    plot file using 1:c title "FIFO" with lines lc rgb "#bbbbbb" lw 2, \
         "" using 1:(column(c + 1)) title "LRU" with lines lc rgb "#777777" lw 2, \
         "" using 1:(column(c + 2)) title "SIEVE" with lines lc rgb "#56b4e9" lw 2, \
         "" using 1:(column(c + 3)) title "S3-FIFO" with lines lc rgb "#0072b2" lw 2, \
         "" using 1:(column(c + 4)) title "cache/ today" with linespoints lc rgb "#000000" lw 2 pt 7 ps 0.5, \
         "" using 1:(column(c + 5)) title "S3-FIFO, sizes" with linespoints lc rgb "#d55e00" lw 2 pt 5 ps 0.5, \
         "" using 1:(column(c + 6)) title "W-TinyLFU" with lines lc rgb "#009e73" lw 2, \
         "" using 1:(column(c + 7)) title "GDSF" with lines lc rgb "#cc79a7" lw 2, \
         "" using 1:(column(c + 8)) title "Belady" with lines lc rgb "#000000" lw 1 dt 2, \
         "" using 1:(column(c + 9 + half)) title "bound (PFOO-L)" with lines lc rgb "#000000" lw 1 dt 3
}
unset multiplot
