// Package faults plays the life of a stack with a fault at every call, and checks each time
// whether the promises of the product still hold. It consists of tests alone.
//
// A CloudFormation in memory sends the same events as the real one, also rollbacks and
// clean-ups, to the real handler. The handler works in the strict account of package
// accesstest, with synctest's time. One delivery of one event has one fault at one of its
// calls: refused, failed, throttled, hanging, the answer lost, a panic, the process killed.
// All cases are generated from an undisturbed run, and none is chosen by hand.
//
// The following must hold in each case, whatever the fault:
//
//   - There is one response for each delivery, at least a second before the deadline, and
//     none from a process that was killed.
//   - After a SUCCESS there is one user. Its current key works, and the user may do what the
//     stack declares.
//   - When nothing is at work, there is no live key that no secret holds.
//   - A rollback restores the previous key.
//   - Entities of others have not changed.
//   - No log and no response holds a secret access key.
//   - After the stack is deleted, the account is empty.
//
// Plays are lives in which CloudFormation and Lambda cause the fault (package traces): an
// event waits in a queue, comes twice, is cancelled, or its response does not arrive, and the
// next event is at work in the meantime. Each call takes some time, so that events overlap in
// every way. Some plays have names, and the others are drawn by a seed. The following must
// hold at the end of each play, before anything else is sent:
//
//   - The account is as the last event requested, and gives no wider access.
//   - Each event for which CloudFormation waited has a true response in time.
//   - A rollback succeeds, and each key that CloudFormation was given works.
//   - There is no live key that no secret holds.
package faults
