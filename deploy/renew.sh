#!/bin/sh
# Renews a profile and sends word of it, good or bad. Ends as `segmentation renew` does:
# 0 done (or nothing new), 2 something to put right, said in one sentence, 1 a defect.
#
#   sh renew.sh shop.yaml [options of segmentation renew]
#
# MONTHLY=yes     report on the month before: orders after its last day do not count
# TODAY=…         another day than today, as 2026-03-01, to catch up on a month
# WEBHOOK=…       address that takes {"text": …}, as of Slack; it stands in no list of processes
set -u
if [ -n "${MONTHLY:-}" ]; then
  first=$(date -d "${TODAY:-today}" +%Y-%m-01) || exit 2
  set -- "$@" -p as_of "$(date -d "$first - 1 day" +%F)"
fi
said=$(mktemp -d) || exit 2
trap 'rm -rf "$said"' EXIT
segmentation renew "$@" >"$said/log" 2>"$said/errors"
code=$?
cat "$said/log"
cat "$said/errors" >&2
if [ "$code" = 0 ]; then
  run=$(tail -n 1 "$said/log")
  segmentation summary "$run" --format text
fi
case "${WEBHOOK:+$code$(head -n 1 "$said/log")}" in
  "" | "0nothing has changed"*) exit "$code" ;;
  0*) segmentation summary "$run" --format slack >"$said/message" ;;
  *) tail -n 1 "$said/errors" |
    python3 -c 'import json, sys; print(json.dumps({"text": sys.stdin.read().strip()[:1000]}))' \
      >"$said/message" ;;
esac
printf 'url = "%s"\n' "$WEBHOOK" | curl --config - --fail --silent --show-error --max-time 30 \
  --output /dev/null --header 'Content-Type: application/json' --data-binary "@$said/message" ||
  echo "renew.sh: no message was sent" >&2
exit "$code"
