# Varnish: its own defaults, which suit this; a day's lifetime, no fields that vary. Started with memory
# storage and one pool of threads (varnishd's advice for one core), without varnishlog.
vcl 4.1;
backend default { .host = "@ORIGIN_HOST@"; .port = "@ORIGIN_PORT@"; }
sub vcl_recv { unset req.http.Cookie; }
sub vcl_backend_response { set beresp.ttl = 1d; }
