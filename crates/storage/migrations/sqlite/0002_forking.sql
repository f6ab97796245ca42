-- Parallel forking of a plan's equal targets; what a vendor's 3xx and 6xx mean. NULL is the default: serial, next.
ALTER TABLE routing_plans ADD COLUMN forking TEXT;
ALTER TABLE vendors ADD COLUMN redirect INTEGER NOT NULL DEFAULT 0;
ALTER TABLE vendors ADD COLUMN on_6xx TEXT;
