"""A Tandem of its own: routing tables, configuration, the running process, and the records of the calls it carried.

Every party has an address of its own on loopback, because customers and vendors are known by their addresses:

    127.0.0.10  Tandem      127.0.0.21, .22  PJSIP      127.0.0.31, .32  baresip      127.0.0.41, .42  sipp
    127.0.0.1   sipsak
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

PROXY = "127.0.0.10:5060"
ADMIN = "127.0.0.10:8060"

# Who may call, and who is reached by which first digits.
CUSTOMERS = {"pjsip-a": "127.0.0.21", "pjsip-b": "127.0.0.22", "baresip-a": "127.0.0.31", "baresip-b": "127.0.0.32",
             "sipp-a": "127.0.0.41", "sipsak": "127.0.0.1"}
VENDORS = {"pjsip-a": ("21", "127.0.0.21:5060"), "pjsip-b": ("22", "127.0.0.22:5060"), "baresip-a": ("31", "127.0.0.31:5060"),
           "baresip-b": ("32", "127.0.0.32:5060"), "sipp-b": ("42", "127.0.0.42:5060"), "nobody": ("99", "127.0.0.99:5060")}
# A number that leads to two vendors of one price, at once; baresip takes calls for its own number only, so that is dialled there.
FORKED, FORKED_VENDORS = "55001", {"fork-pjsip-b": ("22001", "127.0.0.22:5060"), "fork-baresip-b": ("32001", "127.0.0.32:5060")}


def number_of(vendor):
    """The number that leads to a vendor."""
    return VENDORS[vendor][0] + "001"


def tables():
    """The CSV files, by name."""
    gateways = {f"v-{name}": gateway for name, (_, gateway) in VENDORS.items()}
    gateways |= {f"v-{name}": gateway for name, (_, gateway) in FORKED_VENDORS.items()}
    numbers = {f"v-{name}": f"{len(FORKED)},{number}" for name, (number, _) in FORKED_VENDORS.items()}
    ways = [(prefix, f"v-{name}") for name, (prefix, _) in VENDORS.items()]
    ways += [(FORKED[:2], f"v-{name}") for name in FORKED_VENDORS]
    prices = [(sheet, prefix, rate) for prefix in sorted({prefix for prefix, _ in ways})
              for sheet, rate in (("retail", "0.60"), ("wholesale", "0.30"))]
    return {
        "customers.csv": "name,rate_sheet,routing_plan\n" + "".join(f"{name},retail,all\n" for name in CUSTOMERS),
        "customer_addresses.csv": "customer,address\n" + "".join(f"{name},{ip}\n" for name, ip in CUSTOMERS.items()),
        "vendors.csv": "name,rate_sheet,strip,prepend\n" + "".join(f"{name},wholesale,{numbers.get(name, ',')}\n" for name in gateways),
        "vendor_gateways.csv": "vendor,address\n" + "".join(f"{name},{gateway}\n" for name, gateway in gateways.items()),
        "routing_plans.csv": "name,mode,forking\nall,lcr,parallel\n",
        "routes.csv": "plan,prefix,vendor\n" + "".join(f"all,{prefix},{vendor}\n" for prefix, vendor in ways),
        "rates.csv": "sheet,prefix,rate\n" + "".join(",".join(price) + "\n" for price in prices),
    }


class Proxy:
    """Started on entering, drained on leaving."""

    def __init__(self, binary):
        self.binary = binary
        self.directory = tempfile.mkdtemp(prefix="tandem-interop-")
        self.seen = 0

    def path(self, name):
        return os.path.join(self.directory, name)

    def command(self, *words):
        """A command of the same binary on the same configuration; its standard output."""
        done = subprocess.run([self.binary, *words, "--config", self.path("tandem.toml")], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"tandem {' '.join(words)}: {done.stderr}")
        return done.stdout

    def __enter__(self):
        os.mkdir(self.path("tables"))
        for name, text in tables().items():
            with open(self.path(f"tables/{name}"), "w") as file:
                file.write(text)
        with open(self.path("tandem.toml"), "w") as file:
            file.write(f"""[[listen]]
transport = "udp"
address = "{PROXY}"

[runtime]
node = "interop"
workers = 2
drain_timeout_s = 5

[store]
url = "sqlite://{self.path('tandem.db')}"

[journal]
directory = "{self.path('journal')}"

[admin]
address = "{ADMIN}"
token_file = "{self.path('admin.token')}"

[session_timer]
session_expires_s = 90

[proxy]
cookie_key_file = "{self.path('cookie.key')}"

[log]
level = "info"
""")
        self.command("load", self.path("tables"))
        self.log = open(self.path("tandem.log"), "w")
        self.process = subprocess.Popen([self.binary, "run", "--config", self.path("tandem.toml")], stdout=self.log, stderr=self.log)
        for _ in range(200):
            if self.process.poll() is not None:
                raise RuntimeError(f"tandem run ended: {open(self.path('tandem.log')).read()}")
            try:
                if urllib.request.urlopen(f"http://{ADMIN}/readyz", timeout=1).status == 200:
                    return self
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("tandem is not ready after ten seconds")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def new_cdrs(self, count=1, patience_s=8):
        """The records of the calls since the last question, oldest first; waits until there are that many."""
        until = time.monotonic() + patience_s
        while True:
            lines = self.command("cdr", "--limit", "1000", "--format", "json").splitlines()
            if len(lines) - self.seen >= count or time.monotonic() > until:
                fresh = [json.loads(line) for line in lines][: len(lines) - self.seen]
                self.seen = len(lines)
                return fresh[::-1]
            time.sleep(0.1)

    def live_calls(self):
        """Calls that are being set up or are up."""
        return len(json.load(urllib.request.urlopen(f"http://{ADMIN}/v1/calls", timeout=5))["calls"])

    def metric(self, name):
        """The sum over all labels of a counter."""
        text = urllib.request.urlopen(f"http://{ADMIN}/metrics", timeout=5).read().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith((name + " ", name + "{")))
