cd names
printf a > "$(printf 'line\nbreak')"
printf a > "$(printf 'latin-\351')"
printf a > ' space '
printf a > "$(printf '\303\274n\303\257')"
printf a > 'back\slash'
printf a > .wh
printf a > "$(printf 'x%.0s' $(seq 200))"
