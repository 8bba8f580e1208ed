# Makes and watches children with asyncio; engines/programs.cpp says what is spoken.
#
#     python3 asyncio_peer.py HELPER MEMORY_DESCRIPTOR
import asyncio
import os
import sys
import time

helper, memory = sys.argv[1], int(sys.argv[2])


def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def child(slot):
    began = time.monotonic_ns()
    process = await asyncio.create_subprocess_exec(
        helper, str(memory), slot, str(os.getpid()), pass_fds=(memory,), env={}
    )
    made = time.monotonic_ns()
    await process.wait()
    told = time.monotonic_ns()
    say("told", slot, began, made, told)


def give_up(loop, context):
    loop.default_exception_handler(context)
    os._exit(1)  # and the bench sees it


async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(give_up)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    say("hello", time.monotonic_ns(), "Python", sys.version.split()[0])
    watched = set()  # the loop itself holds its tasks weakly
    async for line in lines:
        task = loop.create_task(child(line.split()[1].decode()))
        watched.add(task)
        task.add_done_callback(watched.discard)
        task.add_done_callback(asyncio.Task.result)  # raises what it raised


asyncio.run(main())
