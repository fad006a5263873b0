"""nginx in front of PHP-FPM, both as root with workers of another user, as Debian packages them; prints the answers.

With `web.py dumpable` the workers of PHP-FPM may be looked at by processes of their user, as those of nginx always may.
"""

from __future__ import annotations

import concurrent.futures
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

NGINX = """
worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/error.log; user www-data; daemon off;
events {{ worker_connections 256; }}
http {{
  access_log {folder}/access.log; client_body_temp_path {folder}/body; fastcgi_temp_path {folder}/fastcgi;
  proxy_temp_path {folder}/proxy; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  include /etc/nginx/mime.types;
  upstream again {{ server 127.0.0.1:8081; }}
  server {{ listen 127.0.0.1:8081; root {folder}/www;
    location ~ \\.php$ {{ include /etc/nginx/fastcgi_params;
                         fastcgi_param SCRIPT_FILENAME {folder}/www$fastcgi_script_name;
                         fastcgi_pass unix:{folder}/php.sock; }} }}
  server {{ listen 127.0.0.1:8080; location / {{ proxy_pass http://again; }} }}
}}
"""
FPM = """
[global]
error_log = {folder}/fpm.log
pid = {folder}/fpm.pid
[www]
user = www-data
group = www-data
listen = {folder}/php.sock
listen.mode = 0666
pm = static
pm.max_children = 3
pm.max_requests = 20
process.dumpable = {dumpable}
"""
PAGES = {
    "index.html": "static\n",
    "work.php": "<?php echo posix_geteuid() ? 'dropped ' : 'root ', strlen(str_repeat('x', 1000));"
    " echo ' ', array_sum(range(1, 100)), \"\\n\";",
    "child.php": "<?php exec('echo from a child; exit 4', $said, $code); echo $said[0], ' ', $code, \"\\n\";"
    " echo shell_exec('no-such-program 2>&1');",
    "name.php": "<?php echo gethostbyname('other.test'), ' ', gethostbyname('missing.test'), \"\\n\";",
    "fetch.php": "<?php echo file_get_contents('http://good.test:8081/index.html');"
    " echo @fsockopen('127.0.0.1', 9, $number, $text) ? 'open' : $text, \"\\n\";",
    "file.php": "<?php $f = tempnam(sys_get_temp_dir(), 'c'); file_put_contents($f, 'kept'); rename($f, $f . 'x');"
    " echo file_get_contents($f . 'x'), \"\\n\"; unlink($f . 'x');",
}


def main() -> int:
    """Start both, ask for every page many times, reload, stop; return 0 when both stopped cleanly."""
    folder = Path.cwd()
    folder.chmod(0o755)
    (folder / "www").mkdir()
    for name, text in PAGES.items():
        (folder / "www" / name).write_text(text)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    (folder / "fpm.conf").write_text(FPM.format(folder=folder, dumpable="yes" if "dumpable" in sys.argv else "no"))
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with Path("said.log").open("w") as log:
        fpm = subprocess.Popen([str(max(Path("/usr/sbin").glob("php-fpm*"))), "-F", "-R", "-y", "fpm.conf"], stderr=log)
        nginx = subprocess.Popen(command, stderr=log)
    wait_for(folder / "php.sock", "http://127.0.0.1:8080/index.html")
    ask()
    subprocess.run([*command, "-s", "reload"], check=True, stderr=subprocess.DEVNULL)
    fpm.send_signal(12)
    wait_for(folder / "php.sock", "http://127.0.0.1:8080/work.php")
    ask()
    nginx.send_signal(3)
    fpm.send_signal(3)
    print("ended", nginx.wait(), fpm.wait())
    return 0


def ask() -> None:
    """Print each page's answer once, and how many of many were the same."""
    for name in PAGES:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(fetch, [f"http://127.0.0.1:8080/{name}"] * 24))
        print(name, answers[0].strip(), len(set(answers)), flush=True)


def fetch(url: str) -> str:
    """Return the body, or the error."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return str(answer.read().decode())
    except urllib.error.URLError as error:
        return f"{url}: {error}"


def wait_for(path: Path, url: str) -> None:
    """Wait until the socket is there and the page is answered."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if path.exists() and "http://" not in fetch(url):
            return
        time.sleep(0.05)
    raise SystemExit(f"{url} is not answered: {fetch(url)}")


if __name__ == "__main__":
    sys.exit(main())
