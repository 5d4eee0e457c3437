{
  echo FROM busybox
  echo 'RUN <<EOF'
  yes 'echo a line of a script that is longer than one argument may be' | head -3000
  echo EOF
} > Dockerfile
