# One line of the table of targets for each target of a part.
END {
	for (t = 1; t <= targets; t++) {
		split(target[t], field, "\t")
		n = 0
		for (r = 1; r <= rounds; r++) {
			missing = 0
			above = term(field[3], r)
			below = term(field[4], r)
			if (missing || below == 0)
				continue
			ratios[++n] = above / below
		}
		if (n == 0) {
			printf "| %s | %s %s | not measured | |\n", field[2], field[5] == "<=" ? "at most" : "at least", field[6]
			continue
		}
		summarize(ratios, n)
		got = field[7] == "max" ? most : median
		met = field[5] == "<=" ? got <= field[6] : got >= field[6]
		printf "| %s | %s %s | %s (%s to %s)%s | %s |\n", field[2], field[5] == "<=" ? "at most" : "at least", field[6],
			ratio(got), ratio(least), ratio(most), field[7] == "max" ? ", the worst counts" : "", met ? "met" : "**missed**"
	}
}
