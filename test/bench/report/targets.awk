# One line of the table of targets for each target of a part: the ratio of the medians of its two
# terms over the rounds that have both, and the least and most of the rounds' own ratios.
function wanted() {
	return (field[5] == "<=" ? "at most " : "at least ") field[6]
}
function line(measured, verdict) {
	printf "| %s | %s | %s | %s |\n", field[2], wanted(), measured, verdict
}
END {
	for (t = 1; t <= targets; t++) {
		split(target[t], field, "\t")
		n = noise = 0
		for (r = 1; r <= rounds; r++) {
			missing = 0
			a = term(field[3], r)
			b = term(field[4], r)
			if (missing)
				continue
			above[++n] = a
			below[n] = b
			if (b <= 0)
				noise++
			else
				ratios[n - noise] = a / b
		}
		if (n == 0) {
			line("not measured", "")
			continue
		}
		if (noise * 2 >= n) {
			line("less than the noise to compare with", "")
			continue
		}
		summarize(above, n)
		got = field[7] == "max" ? most : median
		summarize(below, n)
		got /= median
		summarize(ratios, n - noise)
		met = field[5] == "<=" ? got <= field[6] : got >= field[6]
		line(ratio(got) " (" ratio(least) " to " ratio(most) ")" (field[7] == "max" ? ", the worst counts" : ""),
			met ? "met" : "**missed**")
	}
}
