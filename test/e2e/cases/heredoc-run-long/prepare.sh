{
  echo FROM busybox
  echo 'RUN <<EOF'
  echo '#!/bin/sh'
  yes ': a line of a script that is longer than one argument may be' | head -3000
  echo 'echo ran > /ran'
  echo EOF
} > Dockerfile
