"""What an observer sees of the cloud's side of a simulated world, and of the lists of its web.

Of a store that was damaged nobody knows what it held: what it says of tokens, rollouts and what is kept counts no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.sim.tokens import let_get_on

if TYPE_CHECKING:
    from tools.sim.invariants import View
    from tools.sim.world import World


def see_cloud(world: World, view: View) -> None:
    """Note in ``view`` what is wrong with it now."""
    cloud = world.cloud
    view.broken = [*view.broken, *world.lists.broken]
    world.twins.look()
    view.served = cloud.files.broken
    if cloud.files.has_spoilt_store:
        view.untold = {}
        return
    view.twins = world.twins.broken
    world.rollouts.look()
    view.pruned = cloud.prune_faults
    view.rollouts = world.rollouts.broken
    if cloud.voice is not None:
        cloud.voice.look(cloud.database, cloud.folder, is_full=cloud.mount.full)
        view.voice = cloud.voice.broken
    view.log_ins = world.log_ins.broken
    view.tokens = world.observer.apps.tokens.broken


async def see_cloud_end(world: World) -> None:
    """Look at what must be so when all faults are over."""
    if not world.cloud.files.has_spoilt_store:
        await let_get_on(world.cloud, world.observer.apps.tokens)
        world.rollouts.judge_end()
