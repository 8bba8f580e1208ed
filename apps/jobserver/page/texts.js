// Figures and endings as they are read.

export function timeOf(ms) {
  if (ms < 9.95) return ms.toFixed(1) + ' ms';
  if (ms < 999.5) return ms.toFixed(0) + ' ms';
  if (ms < 99950) return (ms / 1000).toFixed(1) + ' s';
  const minutes = Math.floor(ms / 60000);
  if (minutes < 100) return minutes + ' min';
  return Math.floor(minutes / 60) + ' h ' + minutes % 60 + ' min';
}

export function bytesOf(bytes) {
  if (bytes < 1024) return bytes + ' B';
  const steps = Math.min(Math.floor(Math.log2(bytes) / 10), 3);
  return (bytes / 1024 ** steps).toFixed(1) + ' ' + ['B', 'KiB', 'MiB', 'GiB'][steps];
}

// The hour today, and the day too before.
export function clockOf(ms, now = Date.now()) {
  const then = new Date(ms);
  const two = number => String(number).padStart(2, '0');
  const hour = [then.getHours(), then.getMinutes(), then.getSeconds()].map(two).join(':');
  if (then.toDateString() === new Date(now).toDateString()) return hour;
  return [then.getFullYear(), two(then.getMonth() + 1), two(then.getDate())].join('-') + ' ' + hour;
}

// How a job stands or ended, in a word or two; status says the same in more.
export function endingOf(job) {
  if (job.state === 'running') return job.terminated ? 'stopping' : 'running';
  if (job.state === 'queued') return 'waiting';
  if (job.timed_out) return 'timed out';
  switch (job.end) {
    case 'exited': return 'exit ' + job.exit_code;
    case 'killed': return /\((SIG\w+)\)/.exec(job.status)?.[1] ?? 'signal ' + job.signal;
    case 'not_started': return 'not started';
    default: return job.end;
  }
}

// What was typed as environment: a NAME=value on each line.
export function environmentOf(text) {
  const env = {};
  for (const line of text.split('\n')) {
    if (!line.trim()) continue;
    const at = line.indexOf('=');
    if (at < 1) throw new Error('The environment has a line without NAME=: ' + line.trim());
    env[line.slice(0, at).trim()] = line.slice(at + 1);
  }
  return env;
}
