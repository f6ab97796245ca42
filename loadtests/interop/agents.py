"""User agents of two makes behind one interface: what a scenario tells them, and the events it waits for.

`calling`, `incoming`, `early`, `confirmed`, `disconnected` (with `code` where the agent knows it) are the same for both.
"""

import json
import os
import queue
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import wave

HERE = os.path.dirname(os.path.abspath(__file__))


class Missed(AssertionError):
    """An agent did not see what it should have."""


class Agent:
    """What both have: the events so far, and waiting for one more."""

    def __init__(self, name):
        self.name = name
        self.events = queue.Queue()
        self.history = []

    def wait(self, event, patience_s=10, **fields):
        """The next event of that kind with those fields; others before it are passed over."""
        until = time.monotonic() + patience_s
        while True:
            try:
                found = self.events.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                seen = "; ".join(str(one) for one in self.history[-8:])
                raise Missed(f"{self.name}: no {event} {fields or ''} within {patience_s} s; saw {seen}") from None
            self.history.append(found)
            if found["event"] == "failed":
                raise Missed(f"{self.name}: {found}")
            if found["event"] == event and all(found.get(key) == value for key, value in fields.items()):
                return found

    def seen(self):
        """All events since the last scenario, waited for or not."""
        return [*self.history, *self.events.queue]

    def forget(self):
        """Drops the events of a scenario that is over."""
        while not self.events.empty():
            self.events.get()
        self.history.clear()


class Pjsip(Agent):
    """PJSIP in a process of its own, which `pjsip_agent.py` is."""

    make = "PJSIP"

    def __init__(self, name, address, user, *options):
        super().__init__(name)
        self.process = subprocess.Popen([sys.executable, f"{HERE}/pjsip_agent.py", address, user, *options], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        threading.Thread(target=self.read, daemon=True).start()
        try:
            self.version = self.wait("ready")["version"]
        except Missed:
            self.close()
            raise

    def read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self.events.put(json.loads(line))

    def do(self, what, **more):
        self.process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self.process.stdin.flush()

    def call(self, uri):
        self.do("call", uri=uri)

    def ring(self):
        self.do("answer", code=180)

    def answer(self):
        self.do("answer", code=200)

    def refuse(self):
        self.do("hangup", code=486)

    def hang_up(self):
        self.do("hangup")

    def hold(self):
        self.do("hold")

    def resume(self):
        self.do("resume")

    def was_answered_again(self):
        """Waits until a re-INVITE of ours has its 200."""
        self.wait("transaction", method="INVITE", role="sent", code=200)

    def was_held(self):
        """Waits until the other side has put us on hold."""
        self.wait("media", status=3)

    def was_resumed(self):
        """Waits until media flows both ways again."""
        self.wait("media", direction="sendrecv", status=1)

    def hears(self):
        """Whether RTP has come in this call."""
        self.do("packets")
        return self.wait("packets")["received"] > 0

    def close(self):
        try:
            self.do("quit")
            self.process.wait(timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


class Baresip(Agent):
    """baresip with its control interface (module ctrl_tcp: JSON in netstrings) and a tone instead of a microphone."""

    make = "baresip"
    EVENTS = {"CALL_INCOMING": "incoming", "CALL_RINGING": "early", "CALL_PROGRESS": "early", "CALL_ESTABLISHED": "confirmed",
              "CALL_CLOSED": "disconnected", "CALL_RTPESTAB": "rtp"}

    def __init__(self, name, address, user):
        super().__init__(name)
        self.directory = tempfile.mkdtemp(prefix="tandem-baresip-")
        modules = next(path for path in ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules") if os.path.isdir(path))
        with open(f"{self.directory}/config", "w") as file:
            file.write(f"""poll_method epoll
sip_listen {address}:5060
net_interface {address}
call_local_timeout 120
call_max_calls 4
audio_source aufile,{self.directory}/tone.wav
audio_player aubridge,nowhere
audio_alert aubridge,nowhere
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports 30000-30998
module_path {modules}
module g711.so
module aufile.so
module aubridge.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {address}:4444
""")
        with open(f"{self.directory}/accounts", "w") as file:
            file.write(f'<sip:{user}@{address}>;regint=0;answermode=manual;audio_codecs=PCMA,PCMU;outbound="sip:127.0.0.10:5060"\n')
        open(f"{self.directory}/contacts", "w").close()
        self.write_tone(f"{self.directory}/tone.wav")
        with open(f"{self.directory}/log", "w") as log:
            self.process = subprocess.Popen(["baresip", "-4", "-f", self.directory], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.socket = None
        try:
            self.socket = self.connect(address)
        except Missed:
            self.close()
            raise
        threading.Thread(target=self.read, daemon=True).start()
        said = subprocess.run(["baresip", "-h"], capture_output=True, text=True, timeout=10)
        self.version = (said.stdout + said.stderr).split("baresip v", 1)[-1].split()[0]

    @staticmethod
    def write_tone(path):
        """Two minutes of a tone; baresip hangs up when its file ends."""
        with wave.open(path, "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(struct.pack("<8h", 0, 5657, 8000, 5657, 0, -5657, -8000, -5657) * 120_000)

    def connect(self, address):
        for _ in range(100):
            try:
                return socket.create_connection((address, 4444), timeout=5)
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        with open(f"{self.directory}/log") as log:
            raise Missed(f"{self.name}: baresip is not there: {log.read()[-500:]}")

    def read(self):
        self.socket.settimeout(None)
        buffer = b""
        while True:
            try:
                more = self.socket.recv(65536)
            except OSError:
                return
            if not more:
                return
            buffer += more
            while b":" in buffer:
                length, rest = buffer.split(b":", 1)
                if len(rest) <= int(length):
                    break
                self.note(json.loads(rest[: int(length)]))
                buffer = rest[int(length) + 1:]

    def note(self, message):
        if message.get("event"):
            kind = self.EVENTS.get(message.get("type"), message.get("type"))
            self.events.put({"event": kind, "said": message.get("param", "")})
        elif message.get("response") and not message.get("ok", True):
            self.events.put({"event": "failed", "said": message.get("data", "")})

    def do(self, command, params=""):
        body = json.dumps({"command": command, "params": params, "token": "t"}).encode()
        self.socket.sendall(str(len(body)).encode() + b":" + body + b",")

    def call(self, uri):
        self.do("dial", uri)

    def ring(self):
        """It has rung by itself when the call came in."""

    def answer(self):
        self.do("accept")

    def refuse(self):
        self.do("hangup")

    def hang_up(self):
        self.do("hangup")

    def hold(self):
        self.do("hold")

    def resume(self):
        self.do("resume")

    def was_answered_again(self):
        """Waits until a re-INVITE of ours has its 200."""
        self.wait("CALL_REMOTE_SDP", said="answer")

    def was_held(self):
        """Waits until an offer has come within the call; what it said is in the log only."""
        self.wait("CALL_REMOTE_SDP", said="offer")

    was_resumed = was_held

    def hears(self):
        """Whether RTP has come in this call."""
        return any(event["event"] == "rtp" for event in self.seen())

    def close(self):
        if self.socket:
            self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
