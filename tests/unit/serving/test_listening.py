"""What the page's server listens with."""

import asyncio
import socket

from stock_pipeline.commands.serve import LOOPBACK, listening


async def test_an_answer_does_not_wait_until_the_client_has_confirmed_its_head() -> None:
    is_sent_at_once = asyncio.get_running_loop().create_future()

    def connected(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_sent_at_once.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listening(LOOPBACK, 0) as listener:
        async with await asyncio.start_server(connected, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await is_sent_at_once
            writer.close()
