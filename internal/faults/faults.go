// Package faults plays the life of a stack with a fault at every call, and asks
// each time whether what the product promises still holds. All of it is tests.
//
// A CloudFormation in memory sends the events as the real one does, rollbacks
// and clean-ups included, to the real handler; that works in the strict account
// of package accesstest, with synctest's time. One delivery of one event meets
// one fault at one of its calls: refused, failed, throttled, hanging, the answer
// lost, a panic, the process killed. Every such case is generated from what an
// undisturbed run does, and none is picked by hand.
//
// What has to hold in each of them, whatever the fault:
//
//   - one answer for each delivery, none from a process that was killed, each
//     at least a second before the deadline;
//   - after a SUCCESS one user, whose one key that AWSCURRENT names works, and
//     who may do what the stack declares;
//   - at rest no live key that no secret gives out;
//   - a rollback brings back the key of before;
//   - what belongs to others is as it was;
//   - no secret half in a log or an answer;
//   - once the stack is deleted, an empty account.
//
// Plays are lives in which CloudFormation and Lambda are the fault (package
// traces): an event waits in a queue, comes twice, is cancelled, or its answer is
// not heard, and the next one is under way meanwhile. Each call takes its time,
// so that events meet in every way. Some plays are named, the others are drawn
// by a seed. What has to hold at the end of each, before anything else is sent:
//
//   - the account is as the event asked for that was sent last, and no wider;
//   - each event that CloudFormation waited for was answered in time, and with
//     the truth;
//   - a rollback succeeds, and each key that CloudFormation was given lives;
//   - no live key that no secret records.
package faults
