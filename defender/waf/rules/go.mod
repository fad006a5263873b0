// The OWASP Core Rule Set with its tests, pinned with its sum: scripts/rules.sh fetches it.
module bartizan/rules

go 1.19

require github.com/corazawaf/coraza-coreruleset/v4 v4.25.0
