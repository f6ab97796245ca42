"""One PJSIP user agent without a sound device, told what to do by lines of JSON on standard input; events come out likewise.

    pjsip_agent.py ADDRESS USER [prack] [timer]

`prack` makes reliable provisional responses mandatory, `timer` a session timer of 90 s, the shortest that RFC 4028 allows.
"""

import json
import queue
import sys
import threading

import pjsua2 as pj

STATES = {pj.PJSIP_INV_STATE_CALLING: "calling", pj.PJSIP_INV_STATE_INCOMING: "incoming", pj.PJSIP_INV_STATE_EARLY: "early",
          pj.PJSIP_INV_STATE_CONNECTING: "connecting", pj.PJSIP_INV_STATE_CONFIRMED: "confirmed",
          pj.PJSIP_INV_STATE_DISCONNECTED: "disconnected"}
DIRECTIONS = {pj.PJMEDIA_DIR_NONE: "inactive", pj.PJMEDIA_DIR_ENCODING: "sendonly", pj.PJMEDIA_DIR_DECODING: "recvonly",
              pj.PJMEDIA_DIR_ENCODING_DECODING: "sendrecv"}


def tell(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


class Call(pj.Call):
    def onCallState(self, prm):
        info = self.getInfo()
        state = STATES.get(info.state, str(info.state))
        tell(state, code=info.lastStatusCode, reason=info.lastReason)
        if state == "disconnected":
            agent.call = None

    def onCallMediaState(self, prm):
        info = self.getInfo()
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO:
                tell("media", direction=DIRECTIONS.get(media.dir, str(media.dir)), status=media.status)

    def onCallTsxState(self, prm):
        tsx = prm.e.body.tsxState.tsx
        if tsx.state == pj.PJSIP_TSX_STATE_COMPLETED or (tsx.state == pj.PJSIP_TSX_STATE_TERMINATED and tsx.method == "INVITE"):
            role = "sent" if tsx.role == pj.PJSIP_ROLE_UAC else "received"
            tell("transaction", method=tsx.method, role=role, code=tsx.statusCode)


class Account(pj.Account):
    def onIncomingCall(self, prm):
        call = Call(self, prm.callId)
        if agent.call:
            param = pj.CallOpParam()
            param.statusCode = 486
            call.hangup(param)
            return
        agent.call = call
        tell("incoming", remote=call.getInfo().remoteUri)


class Agent:
    def __init__(self, address, user, options):
        self.call = None
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        config = pj.EpConfig()
        config.logConfig.level = config.logConfig.consoleLevel = 0
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        # Without a sound device there is only silence; it is sent all the same, so that the other side counts packets.
        config.medConfig.noVad = True
        # A null device that was closed for being idle is not opened again.
        config.medConfig.sndAutoCloseTime = -1
        self.endpoint.libInit(config)
        transport = pj.TransportConfig()
        transport.port = 5060
        transport.boundAddress = address
        self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
        self.endpoint.libStart()
        self.endpoint.audDevManager().setNullDev()
        account = pj.AccountConfig()
        account.idUri = f"sip:{user}@{address}"
        account.mediaConfig.transportConfig.boundAddress = address
        account.mediaConfig.transportConfig.port = 20000
        if "prack" in options:
            account.callConfig.prackUse = pj.PJSUA_100REL_MANDATORY
        if "timer" in options:
            account.callConfig.timerUse = pj.PJSUA_SIP_TIMER_ALWAYS
            account.callConfig.timerMinSESec = account.callConfig.timerSessExpiresSec = 90
        self.account = Account()
        self.account.create(account)
        tell("ready", version=self.endpoint.libVersion().full)

    def obey(self, command):
        param = pj.CallOpParam(True)
        match command["do"]:
            case "call":
                if not command.get("offer", True):
                    param.opt.flag |= pj.PJSUA_CALL_NO_SDP_OFFER
                self.call = Call(self.account)
                self.call.makeCall(command["uri"], param)
            case "answer":
                param.statusCode = command["code"]
                self.call.answer(param)
            case "hangup":
                param.statusCode = command.get("code", 0)
                self.call.hangup(param)
            case "hold":
                self.call.setHold(param)
            case "resume":
                param.opt.flag |= pj.PJSUA_CALL_UNHOLD
                self.call.reinvite(param)
            case "reinvite":
                self.call.reinvite(param)
            case "update":
                self.call.update(param)
            case "packets":
                tell("packets", received=self.call.getStreamStat(0).rtcp.rxStat.pkt)
            case "quit":
                return False
        return True

    def run(self):
        commands = queue.Queue()

        def read():
            for line in sys.stdin:
                commands.put(json.loads(line))
            commands.put({"do": "quit"})

        threading.Thread(target=read, daemon=True).start()
        going_on = True
        while going_on:
            self.endpoint.libHandleEvents(20)
            while going_on and not commands.empty():
                command = commands.get()
                try:
                    going_on = self.obey(command)
                except (pj.Error, AttributeError) as error:
                    tell("failed", command=command["do"], why=getattr(error, "reason", None) or str(error))
        self.call = None
        self.endpoint.libDestroy()


if __name__ == "__main__":
    agent = Agent(sys.argv[1], sys.argv[2], sys.argv[3:])
    agent.run()
