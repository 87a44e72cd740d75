# Reads the facts of one part (lib/record.sh) and has what the others ask of them.
BEGIN { FS = "\t" }
$1 == "title" { title = $2 }
$1 == "machine" { machine = $2 }
$1 == "note" { note[++notes] = $2 }
$1 == "measure" { measure[++measures] = $2; unit[$2] = $3 }
$1 == "target" { target[++targets] = $0 }
$1 == "value" {
	if (!($3 in is_contender)) {
		is_contender[$3] = 1
		contender[++contenders] = $3
	}
	value[$2, $3, $4] = $5
	measured[$2, $3] = 1
	if ($4 > rounds)
		rounds = $4
}
$1 == "point" { print $3, $4 > (curves "." $2) }

# Sorts list[1..n], and sets median, least and most.
function summarize(list, n,    i, j, x) {
	for (i = 2; i <= n; i++) {
		x = list[i]
		for (j = i - 1; j > 0 && list[j] > x; j--)
			list[j + 1] = list[j]
		list[j + 1] = x
	}
	least = list[1]
	most = list[n]
	median = n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

# The rounds of one contender; returns their number.
function summarize_contender(m, c,    list, n, r) {
	for (r = 1; r <= rounds; r++)
		if ((m, c, r) in value)
			list[++n] = value[m, c, r]
	if (n)
		summarize(list, n)
	return n
}

# One term of a target in one round; sets missing where it was not measured.
function term(text, r,    at, m, c, i, n, part) {
	if (text == "1")
		return 1
	at = match(text, /:[^:]*$/)
	m = substr(text, 1, at - 1)
	n = split(substr(text, at + 1), part, "-")
	for (i = 1; i <= n; i++)
		if (!((m, part[i], r) in value))
			missing = 1
	return missing ? 0 : value[m, part[1], r] - (n > 1 ? value[m, part[2], r] : 0)
}

function number(x) {
	if (x >= 100 || x <= -100 || x == int(x))
		return sprintf("%.0f", x)
	if (x >= 10 || x <= -10)
		return sprintf("%.1f", x)
	return sprintf("%.2f", x)
}

function ratio(x) {
	if (x >= 10 || x <= -10 || x == int(x))
		return number(x)
	return sprintf("%.3f", x)
}
