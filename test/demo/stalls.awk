# stalls.awk PHASES LOG...: of each phase (name, releases, begin and end in seconds since 1970) its
# length in ms, the transactions that ended in it, and the time in ms of the longest that overlaps
# it, from the per-transaction logs of pgbench.
FILENAME == ARGV[1] {
	name[++phases] = $1 " " $2
	from[phases] = $3
	to[phases] = $4
	next
}
$3 ~ /^[0-9]+$/ {
	ended = $5 + $6 / 1e6
	began = ended - $3 / 1e6
	for (i = 1; i <= phases; i++) {
		if (began >= to[i] || ended <= from[i])
			continue
		if ($3 > longest[i])
			longest[i] = $3
		if (ended <= to[i])
			count[i]++
	}
}
END {
	for (i = 1; i <= phases; i++)
		printf "%s %d %d %.1f\n", name[i], (to[i] - from[i]) * 1000, count[i], longest[i] / 1000
}
