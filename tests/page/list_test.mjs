// Which jobs the page shows, in which order, and how it writes of them.
import assert from 'node:assert/strict';
import test from 'node:test';
import {eventsOf} from '../../apps/jobserver/page/events.js';
import {countsOf, keptOf, kindOf, partsOf} from '../../apps/jobserver/page/list.js';
import {bytesOf, clockOf, endingOf, environmentOf, timeOf} from '../../apps/jobserver/page/texts.js';

let next = 0;
function job(more) {
  const n = String(++next).padStart(4, '0');
  return {id: 'id-' + n, state: 'ended', argv: ['true'], created_ms: 1000 * next, started_ms: 1000 * next, wall_ms: 1,
    end: 'exited', exit_code: 0, signal: null, status: 'exited with 0', timed_out: false, terminated: false, cwd: null, ...more};
}
const running = more => job({state: 'running', end: null, exit_code: null, status: null, ...more});
const waiting = more => job({state: 'queued', end: null, exit_code: null, status: null, started_ms: null, wall_ms: 0, ...more});
const ids = part => part.jobs.map(one => one.id);
const shown = {running: 5, waiting: 5, ended: 25};

test('sixty that run do not hide the rest', () => {
  const jobs = [...Array(60)].map(() => running()).concat([...Array(30)].map(() => waiting()), [...Array(110)].map(() => job()));
  const parts = partsOf(jobs, {shown});
  assert.deepEqual(Object.values(parts).map(part => [part.jobs.length, part.all]), [[5, 60], [5, 30], [25, 110]]);
});

test('the newest are first, those that wait as they will be started, and the last to end before the others', () => {
  const old = running(), young = running(), first = waiting(), second = waiting();
  const long = job({started_ms: 1, wall_ms: 1e9}), late = job({wall_ms: 5});
  const all = [late, second, old, long, young, first];
  const parts = partsOf(all, {shown});
  assert.deepEqual(ids(parts.running), [young.id, old.id]);
  assert.deepEqual(ids(parts.waiting), [first.id, second.id]);
  assert.deepEqual(ids(parts.ended), [long.id, late.id]);
  const longest = partsOf(all, {shown, order: 'longest'});
  assert.deepEqual(ids(longest.running), [old.id, young.id]);
  assert.deepEqual(ids(longest.ended), [long.id, late.id]);
});

test('a job that is open stays, however many came after it', () => {
  const jobs = [...Array(40)].map(() => job());
  assert.ok(!ids(partsOf(jobs, {shown}).ended).includes(jobs[0].id));
  assert.equal(ids(partsOf(jobs, {shown, open: jobs[0].id}).ended).at(-1), jobs[0].id);
});

test('a kind and a search leave what fits both', () => {
  const built = job({argv: ['make', 'my target']}), failed = job({argv: ['make'], exit_code: 2, status: 'exited with 2'});
  const slow = running({argv: ['sleep', '9'], cwd: '/srv/Data'});
  const found = options => Object.values(partsOf([built, failed, slow], {shown, ...options})).flatMap(ids);
  assert.deepEqual(found({kind: 'ok'}), [built.id]);
  assert.deepEqual(found({kind: 'failed'}), [failed.id]);
  assert.deepEqual(found({kind: 'running'}), [slow.id]);
  assert.deepEqual(found({kind: 'waiting'}), []);
  assert.deepEqual(found({search: 'MAKE'}), [failed.id, built.id]);
  assert.deepEqual(found({search: 'make \'my'}), [built.id]);
  assert.deepEqual(found({search: 'exit 2'}), [failed.id]);
  assert.deepEqual(found({search: built.id}), [built.id]);
  assert.deepEqual(found({search: 'srv/data'}), [slow.id]);
  assert.deepEqual(found({search: 'make', kind: 'running'}), []);
});

test('of too many that have ended the last are kept, and all that live', () => {
  const jobs = [running(), job(), job(), waiting(), job(), job()];
  assert.deepEqual(keptOf(jobs, 2), [jobs[0], jobs[3], jobs[4], jobs[5]]);
  assert.deepEqual(keptOf(jobs, 4), jobs);
  assert.deepEqual(keptOf(jobs, 9), jobs);
});

test('jobs are counted by what became of them', () => {
  const jobs = [running(), waiting(), job(), job({exit_code: 1}), job({end: 'lost', exit_code: null}), job({timed_out: true})];
  assert.deepEqual(countsOf(jobs), {all: 6, running: 1, waiting: 1, ok: 1, failed: 3});
  assert.equal(kindOf(jobs[5]), 'failed');
});

test('an ending is said in a word or two', () => {
  for (const [more, want] of [
    [{}, 'exit 0'], [{exit_code: 3}, 'exit 3'], [{timed_out: true, end: 'killed'}, 'timed out'],
    [{end: 'killed', signal: 9, status: 'killed by signal 9 (SIGKILL)'}, 'SIGKILL'],
    [{end: 'killed', signal: 40, status: 'killed by signal 40'}, 'signal 40'],
    [{end: 'lost'}, 'lost'], [{end: 'canceled'}, 'canceled'], [{end: 'not_started'}, 'not started'],
    [{state: 'running'}, 'running'], [{state: 'running', terminated: true}, 'stopping'], [{state: 'queued'}, 'waiting'],
  ]) assert.equal(endingOf(job(more)), want);
});

test('times and sizes are written with as many digits as are read', () => {
  assert.deepEqual([0.04, 9.94, 9.96, 999, 999.6, 99940, 99960, 3540000, 5940000, 6000000, 90061000].map(timeOf),
    ['0.0 ms', '9.9 ms', '10 ms', '999 ms', '1.0 s', '99.9 s', '1 min', '59 min', '99 min', '1 h 40 min', '25 h 1 min']);
  assert.deepEqual([0, 1023, 1024, 1536, 1048576, 3 * 2 ** 30].map(bytesOf), ['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '1.0 MiB', '3.0 GiB']);
  const then = new Date(2026, 10, 29, 9, 5, 3).getTime();
  assert.equal(clockOf(then, then), '09:05:03');
  assert.equal(clockOf(then, then + 86400000), '2026-11-29 09:05:03');
});

test('the environment is a name and a value on each line', () => {
  assert.deepEqual(environmentOf('A=1\n\n B = x=y \n'), {A: '1', B: ' x=y '});
  for (const text of ['A', '=1', 'A=1\nB']) assert.throws(() => environmentOf(text), /without NAME=/);
});

test('events are read in whatever pieces they come', async () => {
  const text = 'event: start\ndata: {"id":"é"}\n\n: a comment\n\nevent: beat\ndata: {"late_ms":1}\n\nevent: cut';
  for (const size of [1, 3, 1000]) {
    const bytes = new TextEncoder().encode(text);
    const stream = new ReadableStream({
      start(to) {
        for (let i = 0; i < bytes.length; i += size) to.enqueue(bytes.slice(i, i + size));
        to.close();
      },
    });
    const seen = [];
    for await (const event of eventsOf(stream)) seen.push(event);
    assert.deepEqual(seen, [{event: 'start', data: {id: 'é'}}, {event: 'beat', data: {late_ms: 1}}]);
  }
});
