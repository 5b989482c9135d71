"""What we lean on in Daphne, autobahn and Twisted.

If one of these fails after an upgrade, read project/server.py and the modules beside it together
with their new code.
"""

import inspect

import pytest
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.protocol import PreparedMessage
from autobahn.websocket.protocol import WebSocketProtocol as WebSocketProtocolBase
from daphne import cli, http_protocol, server, ws_protocol
from twisted.internet.abstract import FileDescriptor
from twisted.internet.tcp import Connection as TCPConnection
from twisted.internet.tcp import Port as TCPPort
from twisted.internet.unix import Port as UnixPort
from twisted.internet.unix import Server as UnixServer
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web import http


@pytest.mark.parametrize(
    ("hook", "parameters"),
    [
        (cli.CommandLineInterface.run, ["self", "args"]),
        (http_protocol.HTTPFactory.buildProtocol, ["self", "addr"]),
        (http_protocol.WebRequest.__init__, ["self", "args", "kwargs"]),
        (http.Request.__init__, ["self", "channel", "queued", "parsePOSTFormSubmission"]),
        (http.HTTPChannel.__init__, ["self"]),
        (http.HTTPChannel._send100Continue, ["self"]),
        (http.HTTPChannel.allHeadersReceived, ["self"]),
        (http.HTTPChannel.dataReceived, ["self", "data"]),
        (http.HTTPChannel.requestDone, ["self", "request"]),
        (http.HTTPChannel.resetTimeout, ["self"]),
        (http.HTTPChannel.setTimeout, ["self", "period"]),
        (http.HTTPChannel.timeoutConnection, ["self"]),
        (http.Request.gotLength, ["self", "length"]),
        (http.Request.handleContentChunk, ["self", "data"]),
        (http_protocol.WebRequest.process, ["self"]),
        (server.Server.application_checker, ["self"]),
        (server.Server.create_application, ["self", "protocol", "scope"]),
        (server.Server.handle_reply, ["self", "protocol", "message"]),
        (server.Server.listen_success, ["self", "port"]),
        (server.Server.stop, ["self"]),
        (server.Server.kill_all_applications, ["self"]),
        (ws_protocol.WebSocketProtocol.check_timeouts, ["self"]),
        (ws_protocol.WebSocketProtocol.handle_exception, ["self", "exception"]),
        (ws_protocol.WebSocketProtocol.handle_reply, ["self", "message"]),
        (ws_protocol.WebSocketProtocol.serverAccept, ["self", "subprotocol"]),
        (ws_protocol.WebSocketProtocol.serverReject, ["self"]),
        (PreparedMessage.__init__, ["self", "payload", "isBinary", "applyMask", "doNotCompress"]),
        (WebSocketServerProtocol._cancelAutoPingTimeoutCall, ["self"]),
        (WebSocketServerProtocol._dataReceived, ["self", "data"]),
        (WebSocketServerProtocol.consumeData, ["self"]),
        (WebSocketServerProtocol.processData, ["self"]),
        (WebSocketServerProtocol.onMessage, ["self", "payload", "isBinary"]),
        (WebSocketServerProtocol.onPing, ["self", "payload"]),
        (WebSocketServerProtocol.connectionLost, ["self", "reason"]),
        (WebSocketServerProtocol.connectionMade, ["self"]),
        (WebSocketServerProtocol.dropConnection, ["self", "abort"]),
        (WebSocketServerProtocol.onPong, ["self", "payload"]),
        (WebSocketServerProtocol.sendCloseFrame, ["self", "code", "reasonUtf8", "isReply"]),
        (WebSocketServerProtocol.sendClose, ["self", "code", "reason"]),
        (WebSocketServerProtocol.sendPing, ["self", "payload"]),
        (
            WebSocketServerProtocol._max_message_size_exceeded,
            ["self", "msg_size", "max_msg_size", "reason"],
        ),
        (TCPPort._fromListeningDescriptor, ["reactor", "fd", "addressFamily", "factory"]),
        (TCPPort.doRead, ["self"]),
        (UnixPort._fromListeningDescriptor, ["reactor", "fd", "factory"]),
        (UnixServer.writeSomeData, ["self", "data"]),
        (TCPConnection.writeSomeData, ["self", "data"]),
        (TCPConnection.registerProducer, ["self", "producer", "streaming"]),
        (TLSMemoryBIOProtocol.registerProducer, ["self", "producer", "streaming"]),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_a_hook_is_still_there(hook, parameters):
    assert list(inspect.signature(hook).parameters) == parameters


def test_daphne_still_says_when_its_factories_are_made():
    source = inspect.getsource(server.Server.run)
    assert source.index("self.ws_factory =") < source.index("self.ready_callable()")
    assert source.index("self.ready_callable()") < source.index("reactor.run(")


def test_daphne_still_takes_what_we_say_otherwise():
    parameters = inspect.signature(server.Server.__init__).parameters
    headers = [f"proxy_forwarded_{header}_header" for header in ("address", "port", "proto")]
    assert {"signal_handlers", "ready_callable", "endpoints", *headers} <= parameters.keys()


def test_twisted_still_says_whether_a_connection_takes_answers():
    assert http.HTTPChannel()._waitingForTransport is False
    assert "self._waitingForTransport = True" in inspect.getsource(http.HTTPChannel.pauseProducing)
    assert "self.persistent" in inspect.getsource(http.HTTPChannel.requestDone)


def test_daphne_still_notes_whether_an_answer_has_begun():
    assert "self._response_started = False" in inspect.getsource(http_protocol.WebRequest.__init__)


def test_daphne_still_notes_who_has_left_where_we_look_for_it():
    assert '["disconnected"] =' in inspect.getsource(server.Server.protocol_disconnected)


def test_daphne_still_keeps_an_application_where_we_look_for_it():
    source = inspect.getsource(server.Server.create_application)
    assert 'self.connections[protocol]["application_instance"] =' in source


def test_twisted_still_keeps_what_it_has_to_write_where_we_look_for_it():
    connection = FileDescriptor(reactor=object())
    assert (connection._tempDataBuffer, connection.dataBuffer) == ([], b"")
    assert not connection.connected
    assert not connection.disconnecting


def test_twisted_still_accepts_as_many_as_a_port_says():
    assert "range(numAccepts)" in inspect.getsource(TCPPort.doRead)
    assert "numAccepts = self.numberAccepts" in inspect.getsource(TCPPort.doRead)


def test_twisted_still_accepts_from_the_socket_that_a_port_begins_with():
    assert "self.socket = skt" in inspect.getsource(TCPPort.startListening)
    assert "skt = self._preexistingSocket" in inspect.getsource(TCPPort.startListening)
    assert "self.socket" in inspect.getsource(TCPPort.doRead)


def test_twisted_still_knows_that_a_request_is_answered_and_what_to_wait_then():
    assert http.HTTPChannel()._handlingRequest is False
    source = inspect.getsource(http.HTTPChannel.requestDone)
    assert source.index("setTimeout(self._savedTimeOut)") < source.index("setLineMode(data)")


def test_autobahn_still_has_a_queue_only_for_what_is_written_in_bits():
    source = inspect.getsource(WebSocketServerProtocol.sendData)
    assert "if chopsize and chopsize > 0:" in source
    assert "if sync or len(self.send_queue) > 0:" in source


def test_autobahn_still_lets_a_class_set_its_closing_timeout():
    assert "closeHandshakeTimeout" in WebSocketServerProtocol.CONFIG_ATTRS


def test_autobahn_still_copies_the_options_that_it_names_and_no_others():
    source = inspect.getsource(WebSocketProtocolBase._connectionMade)
    assert "for configAttr in self.CONFIG_ATTRS:" in source
    factory = ws_protocol.WebSocketFactory(None)
    assert all(hasattr(factory, name) for name in WebSocketServerProtocol.CONFIG_ATTRS)


def test_autobahn_still_gives_up_its_producer_before_it_closes():
    source = inspect.getsource(WebSocketServerProtocol.dropConnection)
    assert source.index("self.unregisterProducer()") < source.index("self._closeConnection(")


def test_twisted_still_pauses_at_64_kib():
    assert TCPConnection.bufferSize == 1 << 16
