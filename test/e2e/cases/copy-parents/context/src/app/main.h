mh
