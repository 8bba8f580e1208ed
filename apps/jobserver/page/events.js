// The server-sent events of a stream of text, as they come: {event, data}. They are read by fetch, since an
// EventSource cannot send a token.
export async function* eventsOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const event = /^event: (.*)$/m.exec(block)?.[1];
      if (event) yield {event, data: JSON.parse(/^data: (.*)$/m.exec(block)[1])};
    }
  }
}
