// Which jobs are shown, and in what order. Jobs are as the server tells them.

import {lineOf} from './words.js';
import {endingOf} from './texts.js';

export const kindOf = job => job.state === 'running' ? 'running' : job.state === 'queued' ? 'waiting' :
  job.exit_code === 0 && !job.timed_out ? 'ok' : 'failed';

const endOf = job => (job.started_ms ?? job.created_ms) + job.wall_ms;

// A job that cannot have run by this clock sorts by its id, which is by time, too.
const byId = (one, other) => one.id < other.id ? 1 : -1;

const orders = {
  newest: {
    running: (one, other) => other.started_ms - one.started_ms || byId(one, other),
    ended: (one, other) => endOf(other) - endOf(one) || byId(one, other),
  },
  longest: {
    running: (one, other) => one.started_ms - other.started_ms || byId(other, one),
    ended: (one, other) => other.wall_ms - one.wall_ms || byId(one, other),
  },
};

// Every word of the search is somewhere in the job, in small letters or large. Of its id so much must be there that
// it is no number of something else.
export function matcherOf(search) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return job => {
    if (!words.length) return true;
    const text = [lineOf(job.argv), job.state, endingOf(job), job.status ?? '', job.cwd ?? ''].join(' ').toLowerCase();
    return words.every(word => text.includes(word) || (word.length > 5 && job.id.includes(word)));
  };
}

export function countsOf(jobs) {
  const counts = {all: 0, running: 0, waiting: 0, ok: 0, failed: 0};
  for (const job of jobs) {
    ++counts.all;
    ++counts[kindOf(job)];
  }
  return counts;
}

// Without the first that have ended, where those are more than so many. The jobs are in the order of their ids.
export function keptOf(jobs, mostEnded) {
  let above = jobs.filter(job => job.state === 'ended').length - mostEnded;
  return jobs.filter(job => job.state !== 'ended' || above-- <= 0);
}

// {running, waiting, ended}, each {jobs, all}: those shown, and how many there are. No part hides the others:
// shown says how many of each are shown; and the job that is open is shown always.
export function partsOf(jobs, {kind = 'all', search = '', order = 'newest', shown, open = null}) {
  const matches = matcherOf(search);
  const parts = {running: [], waiting: [], ended: []};
  for (const job of jobs) {
    const its = kindOf(job);
    if ((kind === 'all' || kind === its) && matches(job)) parts[parts[its] ? its : 'ended'].push(job);
  }
  parts.running.sort(orders[order].running);
  parts.waiting.sort((one, other) => byId(other, one));  // as they will be started
  parts.ended.sort(orders[order].ended);
  const first = name => {
    const all = parts[name];
    return {jobs: all.filter((job, i) => i < shown[name] || job.id === open), all: all.length};
  };
  return {running: first('running'), waiting: first('waiting'), ended: first('ended')};
}
